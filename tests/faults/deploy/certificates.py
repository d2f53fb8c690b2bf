"""Certificates for the entrances of tests, made by openssl."""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """One that signs itself, so that it is its own authority."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate_for(host: str, folder: Path, days: int = 1) -> Certificate:
    """Valid for so many days; -1: until yesterday."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificate(folder / "tls.crt", folder / "tls.key")
    request = folder / "request"
    names = ["-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}"]
    openssl("req", "-newkey", "rsa:2048", "-nodes", *names, "-keyout", made.key, "-out", request)
    signed = ["-in", request, "-signkey", made.key, "-copy_extensions", "copy", "-days", days]
    openssl("x509", "-req", *signed, "-out", made.file)
    return made


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
