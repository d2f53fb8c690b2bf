"""Where the smoke test looks for the service, and what it takes for the service."""

import pytest

from tests.deploy.shell import Reply, Shell, failure

REFUSED = Reply("000 ", 7, "curl: (7) Failed to connect\n")
UNTRUSTED = Reply("000 ", 60, "curl: (60) SSL certificate problem\n")
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


def found(shell: Shell, ingress: str = "shop||192.0.2.1", **variables: object) -> str:
    """How the entrance is reached; a port-forward is always to be had."""
    shell.stub("kubectl", {"get ingress shop": ingress, "get pods": "ingress-system/controller-1\n"})
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


@pytest.mark.parametrize("ingress", ["shop||192.0.2.1", ""], ids=["an Ingress", "an HTTPRoute"])
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
    shell.stub(
        "kubectl", {"get ingress": failure("error: You must be logged in to the server (Unauthorized)")}
    )
    done = shell.run("smoke_fault=''; find_entrance shop.test || echo none", *FILES)
    assert (done.status, done.stdout) == (3, "")


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


@pytest.mark.parametrize(("environment", "warned"), [("prod", False), ("dev", True)])
def test_a_certificate_that_is_not_trusted(environment: str, warned: bool, shell: Shell) -> None:
    """For prod the caller says what follows."""
    shell.stub("curl", {"--insecure": "200 ", "": UNTRUSTED})
    call = f'answers_at shop.test 192.0.2.1:443; {FOUND}; echo "$untrusted_fault"'
    done = shell.run(call, *FILES, environment=environment, scheme="https", ca_file="/ca.pem")
    options, fault = done.stdout.splitlines()
    assert options.strip() == "https --connect-to ::192.0.2.1:443 --cacert /ca.pem --insecure"
    assert fault.startswith("the certificate for shop.test at 192.0.2.1:443 is not trusted")
    assert ("warning" in done.stderr) == warned
