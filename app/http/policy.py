"""What holds for every request: the settings, the headers of every response, the places."""

from dataclasses import dataclass, field

from tornado.httputil import HTTPHeaders

from app.http.admission import Admission
from app.http.client_address import client_address
from app.http.in_flight import InFlight
from app.settings import Settings


@dataclass(frozen=True)
class RequestPolicy:
    """Handed to every handler and to the server of a listener."""

    settings: Settings
    headers: dict[str, str]
    admission: Admission
    in_flight: InFlight = field(default_factory=InFlight)

    def allows_host(self, host: str) -> bool:
        """Tell whether a Host header (with or without port) is one that ALLOWED_HOSTS names."""
        allowed = self.settings.allowed_hosts
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        return not allowed or name.lower() in {entry.lower() for entry in allowed}

    def client_address(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the visitor's address, behind TRUSTED_PROXIES."""
        return client_address(peer, headers, self.settings.trusted_proxies)


def make_policy(settings: Settings) -> RequestPolicy:
    """Build the policy that the settings ask for."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    if settings.hsts_seconds:
        # Of the names below this one the service knows nothing: they may not have HTTPS.
        below = "; includeSubDomains" if settings.hsts_include_subdomains else ""
        headers["Strict-Transport-Security"] = f"max-age={settings.hsts_seconds}{below}"
    return RequestPolicy(settings, headers, Admission(settings.max_in_flight))
