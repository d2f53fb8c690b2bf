"""Where the smoke test looks for the service, and what it takes for the service."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.deploy.answering import answering_service
from tests.deploy.shell import Reply, Shell, failure
from tests.faults.deploy.certificates import certificate_for

REFUSED = Reply("000 ", 7, "curl: (7) Failed to connect\n")
FOUND = 'echo "$scheme ${entrance_options[*]} $entrance_is_service"'
FILES = ["forward", "good_answers", "answers", "entrance"]
FORWARDING = "#!/bin/sh\necho 'Forwarding from 127.0.0.1:4321 -> 8000'\nexec sleep 30\n"


@pytest.mark.parametrize(
    ("address", "scheme", "expected"),
    [
        ("192.0.2.1", "http", "192.0.2.1:80"),
        ("shop.test", "https", "shop.test:443"),
        ("2001:db8::1", "http", "[2001:db8::1]:80"),
        ("::1", "https", "[::1]:443"),
    ],
)
def test_with_port(address: str, scheme: str, expected: str, shell: Shell) -> None:
    assert shell.says(f"with_port {address} {scheme}", *FILES) == expected


def found(
    shell: Shell,
    ingress: str = "shop||192.0.2.1",
    told: str = "|",
    route: str = "",
    gateway: str | Reply = "",
    **variables: object,
) -> str:
    """How the entrance is reached; a port-forward is always to be had. `told` is of the ConfigMap."""
    replies = {"get ingress shop": ingress, "get httproutes": route, "get gateways": gateway}
    pods = {"get pods": "ingress-system/controller-1\n"}
    shell.stub("kubectl", {"get configmap shop ": told, **replies, **pods})
    answering = (shell.bin / "kubectl").read_text()
    forward = FORWARDING.replace("#!/bin/sh\n", f"echo \"$*\" >>'{shell.folder}/forwards'\n")
    text = answering.replace(
        'case "$*" in\n', f'case "$*" in *port-forward*)\n{forward};; esac\ncase "$*" in\n'
    )
    shell.script("kubectl", text)
    call = f"trap stop_forward EXIT; find_entrance shop.test; {FOUND}"
    return shell.says(call, *FILES, **{"ingress_address": "", **variables})


def forwards(shell: Shell) -> list[str]:
    log = shell.folder / "forwards"
    return log.read_text().splitlines() if log.exists() else []


def test_the_address_of_the_ingress(shell: Shell) -> None:
    shell.stub("curl", {"::192.0.2.1:80": "404 "})
    assert found(shell) == "http --connect-to ::192.0.2.1:80"


def test_with_tls_its_port_for_that(shell: Shell) -> None:
    shell.stub("curl", {"::192.0.2.1:443": "200 "})
    assert found(shell, 'shop|[{"hosts":["shop.test"]}]|192.0.2.1') == "https --connect-to ::192.0.2.1:443"


@pytest.mark.parametrize("ingress", ["shop||192.0.2.1", ""], ids=["an Ingress", "no Ingress"])
def test_an_address_that_was_given_comes_first(ingress: str, shell: Shell) -> None:
    shell.stub("curl", {"::127.0.0.1:8080": "200 "})
    assert found(shell, ingress, ingress_address="127.0.0.1:8080") == "http --connect-to ::127.0.0.1:8080"


def test_without_an_ingress_dns_is_asked(shell: Shell) -> None:
    shell.stub("curl", {"::shop.test:80": "200 "})
    assert found(shell, "") == "http --connect-to ::shop.test:80"


def test_an_address_that_was_given_in_vain_is_no_end(shell: Shell) -> None:
    shell.stub("curl", {"::127.0.0.1:8080": REFUSED, "::192.0.2.1:80": "200 "})
    assert found(shell, ingress_address="127.0.0.1:8080") == "http --connect-to ::192.0.2.1:80"


def test_then_the_controller(shell: Shell) -> None:
    shell.stub("curl", {"::127.0.0.1:4321": "200 ", "": REFUSED})
    assert found(shell) == "http --connect-to ::127.0.0.1:4321"
    (forward,) = forwards(shell)
    assert "--namespace ingress-system port-forward --address 127.0.0.1 pod/controller-1 :http" in forward


@pytest.mark.parametrize("ingress", ["shop||192.0.2.1", ""], ids=["an Ingress", "no Ingress"])
def test_then_the_service_at_the_port_that_has_a_name(ingress: str, shell: Shell) -> None:
    """Its number is a value."""
    shell.stub("curl", {"": REFUSED})
    assert found(shell, ingress) == "http --connect-to ::127.0.0.1:4321 yes"
    assert "--namespace shop port-forward --address 127.0.0.1 service/shop :http" in forwards(shell)[-1]


def test_an_ingress_that_cannot_be_read_ends_the_deploy(shell: Shell) -> None:
    """And does not pass for a chart without one."""
    refused = failure("error: You must be logged in to the server (Unauthorized)")
    shell.stub("kubectl", {"get configmap": "|", "get ingress": refused})
    done = shell.run("smoke_fault=''; find_entrance shop.test || echo none", *FILES)
    assert (done.status, done.stdout) == (3, "")


GATEWAY = """\
192.0.2.7
http|HTTP|8000|
https|HTTPS|8443|
other|HTTPS|9443|*.other.test
passed|TLS|6443|
"""
PLAIN_GATEWAY = "192.0.2.7\nweb|HTTP|8000|\n"
ROUTES: dict[str, tuple[str, str, str | Reply, str, str]] = {
    "both listeners, http": ("http", "parent edge/public//\n", GATEWAY, "http", "192.0.2.7:8000"),
    "both listeners, https": ("https", "parent edge/public//\n", GATEWAY, "https", "192.0.2.7:8443"),
    "by the listener's name": ("https", "parent edge/public/https/\n", GATEWAY, "https", "192.0.2.7:8443"),
    "by its port": ("https", "parent edge/public//8443\n", GATEWAY, "https", "192.0.2.7:8443"),
    "https, and the chart was not told": (
        "http",
        "parent edge/public/https/\n",
        GATEWAY,
        "https",
        "192.0.2.7:8443",
    ),
    "TLS ends before it": ("https", "parent edge/public//\n", PLAIN_GATEWAY, "https", "shop.test:443"),
    "a listener of other hosts": ("https", "parent edge/public/other/\n", GATEWAY, "https", "shop.test:443"),
    "no address": ("http", "parent edge/public//\n", GATEWAY[9:], "http", "shop.test:8000"),
    "IPv6": ("http", "parent edge/public//\n", "2001:db8::1\nweb|HTTP|80|\n", "http", "[2001:db8::1]:80"),
    "two Gateways, one of them gone": (
        "http",
        "parent edge/gone//\nparent /public//\n",
        PLAIN_GATEWAY,
        "http",
        "192.0.2.7:8000",
    ),
    "no right to read it": (
        "https",
        "parent edge/public//\n",
        failure("Error from server (Forbidden): no"),
        "https",
        "shop.test:443",
    ),
}


@pytest.mark.parametrize("case", ROUTES)
def test_the_address_of_the_gateway(case: str, shell: Shell) -> None:
    told, route, gateway, scheme, expected = ROUTES[case]
    shell.stub("curl", {f"::{expected} ": "200 "})
    where = found(shell, told=f"httproute|{told}", route=route, gateway=gateway)
    assert where == f"{scheme} --connect-to ::{expected}"
    assert f"::{expected} " in shell.calls("curl")[0]
    assert shell.calls("kubectl", "get ingress") == []
    namespace = "shop" if "gone" in case else "edge"
    assert f"public --namespace {namespace} " in shell.calls("kubectl", "get gateways")[-1]


def test_an_ingress_and_a_route(shell: Shell) -> None:
    """Where one of them does not answer, the other does."""
    shell.stub("curl", {"::192.0.2.1:80": REFUSED, "::192.0.2.7:8000": "200 "})
    where = found(shell, told="both|http", route="parent edge/public//\n", gateway=GATEWAY)
    assert where == "http --connect-to ::192.0.2.7:8000"


def test_what_the_chart_says_of_tls_counts(shell: Shell) -> None:
    shell.stub("curl", {"::192.0.2.1:443": "200 "})
    assert found(shell, told="ingress|https") == "https --connect-to ::192.0.2.1:443"


def test_without_an_entrance_the_service_is_asked(shell: Shell) -> None:
    assert found(shell, told="none|http") == "http --connect-to ::127.0.0.1:4321 yes"
    # Whatever answers there is not asked to serve it.
    assert found(shell, told="none|http", ingress_address="192.0.2.9:80").endswith(" yes")
    done = shell.run("trap stop_forward EXIT; find_entrance shop.test", *FILES, ingress_address="")
    assert "the values ask for no entrance" in done.stderr
    assert "no entrance answers" not in done.stderr
    assert shell.calls("curl") == []


CONDITIONS = """\
parent edge/public//
Accepted=True Accepted: Route is accepted
ResolvedRefs=False BackendNotFound: service shop not found
PartiallyInvalid=False Fine: nothing
"""


def test_what_a_gateway_says_against_the_route(shell: Shell) -> None:
    shell.stub(
        "kubectl", {"get configmap": "httproute|http", "get httproutes": CONDITIONS, "get gateways": GATEWAY}
    )
    call = 'read_entrances shop.test; echo "$route_fault"'
    assert shell.says(call, *FILES) == "BackendNotFound: service shop not found"


REDIRECTS = {
    "the scheme's port": ("192.0.2.1:80", "", "https://shop.test/", "192.0.2.1:443"),
    "a port of its own": ("192.0.2.1:80", "", "https://shop.test:8443/version", "192.0.2.1:8443"),
    "IPv6": ("[2001:db8::1]:80", "", "https://shop.test/", "[2001:db8::1]:443"),
    "the one that was given for TLS": (
        "127.0.0.1:80",
        "127.0.0.1:80,127.0.0.2:444",
        "https://shop.test/",
        "127.0.0.2:444",
    ),
}


@pytest.mark.parametrize("case", REDIRECTS)
def test_a_redirect_to_https_is_followed(case: str, shell: Shell) -> None:
    address, given, redirect, expected = REDIRECTS[case]
    shell.stub("curl", {f"::{expected} ": "200 ", f"::{address} ": f"308 {redirect}"})
    call = f"answers_at shop.test {address}; {FOUND}"
    assert shell.says(call, *FILES, ingress_address=given) == f"https --connect-to ::{expected}"
    assert shell.calls("curl")[-1].endswith(" https://shop.test/version")


@pytest.mark.parametrize(
    "redirect", ["https://sso.test/login", "https://shop.test.evil.test/", "http://shop.test/login", ""]
)
def test_no_other_redirect_is_followed(redirect: str, shell: Shell) -> None:
    shell.stub("curl", {"": f"302 {redirect}"})
    assert (
        shell.says(f"answers_at shop.test 192.0.2.1:80; {FOUND}", *FILES)
        == "http --connect-to ::192.0.2.1:80"
    )
    assert len(shell.calls("curl")) == 1


def test_a_redirect_into_nothing_is_no_answer(shell: Shell) -> None:
    shell.stub("curl", {"::192.0.2.1:443": REFUSED, "": "308 https://shop.test/"})
    assert shell.says("answers_at shop.test 192.0.2.1:80 || echo none", *FILES) == "none"


@pytest.mark.parametrize(
    ("environment", "step", "warned"),
    [("prod", "smoke", False), ("prod", "rollback", True), ("dev", "smoke", True)],
)
@pytest.mark.parametrize("status", [35, 51, 60, 77])
def test_a_certificate_that_is_not_trusted(
    status: int, environment: str, step: str, warned: bool, shell: Shell
) -> None:
    """For prod the caller says what follows, but for a way back."""
    shell.stub("curl", {"--insecure": "200 ", "": Reply("000 ", status, "curl: why\nMore details here\n")})
    call = f'answers_at shop.test 192.0.2.1:443; {FOUND}; echo "$untrusted_fault"'
    variables = {"environment": environment, "current_step": step}
    done = shell.run(call, *FILES, scheme="https", ca_file="/ca.pem", **variables)
    options, fault = done.stdout.splitlines()
    assert options.strip() == "https --connect-to ::192.0.2.1:443 --cacert /ca.pem --insecure"
    assert fault.startswith("the certificate for shop.test at 192.0.2.1:443 is not trusted")
    assert fault.endswith(": curl: why")
    assert ("warning" in done.stderr) == warned


def test_another_way_with_a_good_certificate_will_do(shell: Shell) -> None:
    shell.stub("curl", {"::127.0.0.1:8443": Reply("000 ", 35, "curl: (35) no\n"), "": "200 "})
    shell.stub("kubectl", {"get configmap": "ingress|https", "get ingress": "shop|x|192.0.2.1"})
    call = f'find_entrance shop.test; {FOUND}; echo "«$untrusted_fault»"'
    said = shell.says(call, *FILES, ingress_address="127.0.0.1:8443", environment="prod")
    assert said.split() == ["https", "--connect-to", "::192.0.2.1:443", "«»"]


class Certified(NamedTuple):
    """A service with TLS on this machine, and the names that it was asked for."""

    port: int
    asked: list[str]


@contextmanager
def certified(context: ssl.SSLContext, refuses: bool = False) -> Iterator[Certified]:
    """One that refuses answers no handshake, as a listener that has no certificate for the name."""
    names: list[str] = []

    def asked(_socket: object, name: str | None, _context: object) -> int | None:
        names.append(name or "")
        return int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME) if refuses else None

    context.sni_callback = asked
    with answering_service() as service:
        service.socket = context.wrap_socket(service.socket, server_side=True)
        yield Certified(service.server_port, names)


CERTIFICATES = {
    "good": ("shop.test", 1, True, ""),
    "expired": ("shop.test", -1, True, "expired"),
    "of another host": ("other.test", 1, True, "does not match|no alternative certificate subject name"),
    "signed by nobody": ("shop.test", 1, False, "self.signed"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_real_certificate(case: str, shell: Shell, tmp_path: Path) -> None:
    """The name that is asked for is the host's, not the address's."""
    name, days, is_known, fault = CERTIFICATES[case]
    certificate = certificate_for(name, tmp_path, days)
    shell.real("curl")
    known = {"ca_file": certificate.file} if is_known else {}
    with certified(certificate.context()) as service:
        call = f'answers_at shop.test 127.0.0.1:{service.port}; echo "$reply|$untrusted_fault"'
        said = shell.says(call, *FILES, environment="prod", scheme="https", slowest_answer=20, **known)
        assert set(service.asked) == {"shop.test"}
    answer, said_fault = said.split("|")
    assert answer.split() == ["200"]
    assert re.search(fault, said_fault) if fault else not said_fault


def test_where_there_is_no_certificate_yet(shell: Shell, tmp_path: Path) -> None:
    """It does not answer, and prod does not take the Service's word for it."""
    shell.real("curl")
    certificate = certificate_for("shop.test", tmp_path)
    with certified(certificate.context(), refuses=True) as service:
        call = f'answers_at shop.test 127.0.0.1:{service.port} || echo "$untrusted_fault"'
        said = shell.says(
            call, *FILES, environment="prod", scheme="https", slowest_answer=20, ca_file=certificate.file
        )
    assert "curl: (35)" in said


def test_an_authority_that_is_none(shell: Shell, tmp_path: Path) -> None:
    shell.real("curl")
    nonsense = tmp_path / "ca.crt"
    nonsense.write_text("not a certificate\n")
    with certified(certificate_for("shop.test", tmp_path / "made").context()) as service:
        call = f'answers_at shop.test 127.0.0.1:{service.port} || true; echo "$untrusted_fault"'
        said = shell.says(
            call, *FILES, environment="prod", scheme="https", slowest_answer=20, ca_file=nonsense
        )
    assert "curl: (77)" in said
