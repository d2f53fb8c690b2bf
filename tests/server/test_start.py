"""What a process does at its start."""

import signal
import socket
from http.client import HTTPConnection

import pytest

from dev.valkey import LOOPBACK, free_port
from tests.conftest import StartService, ValkeyServer
from tests.service import run_to_end

pytestmark = pytest.mark.usefixtures("each_transport")


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


def test_start_never_resets_the_counter(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.set("counter", "41")
    first = start_service(valkey).wait_until_ready()
    assert valkey.get("counter") == "41"
    assert first.count() == 42
    first.signal(signal.SIGTERM)
    assert first.wait() == 0
    second = start_service(valkey).wait_until_ready()
    assert second.count() == 43


def test_two_keys_count_apart(valkey: ValkeyServer, start_service: StartService) -> None:
    one, two = start_service(valkey), start_service(valkey, COUNTER_KEY="other")
    one.wait_until_ready()
    two.wait_until_ready()
    assert [one.count(), one.count(), two.count()] == [1, 2, 1]
    assert (valkey.get("counter"), valkey.get("other")) == ("2", "1")


@pytest.mark.parametrize("address", [LOOPBACK, "::1"])
def test_every_address_is_that_of_both_families(
    valkey: ValkeyServer, start_service: StartService, address: str
) -> None:
    """A kubelet asks a pod at the address that it has, of either."""
    if ":" in address and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    service = start_service(valkey, HOST="*", ADMIN_PORT=free_port()).wait_until_ready()
    for port in (service.port, service.admin_port):
        connection = HTTPConnection(address, port, timeout=10)
        connection.request("GET", "/healthz")
        assert connection.getresponse().status in {200, 404}
        connection.close()


def test_redis_away_at_start_is_no_crash(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.stop()
    service = start_service(valkey, REQUEST_TIMEOUT=1)
    assert (service.get("/readyz").status, service.get("/readyz").body) == (503, b"starting\n")
    assert service.get("/healthz").body == b"degraded\n"
    assert service.get("/").status == 503
    service.line("waiting for redis", reason="connection")
    valkey.start()
    service.wait_until_ready()
    assert service.count() == 1


@pytest.mark.parametrize("setting", ["PORT", "ADMIN_PORT"])
def test_a_port_in_use_is_one_clear_line(setting: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run_to_end("app", **({"HOST": "127.0.0.1", "PORT": 0, "ADMIN_PORT": 0} | {setting: port}))
    assert ended.returncode == 1
    assert ended.stderr == (
        f"visits: cannot listen on 127.0.0.1:{port}: Address already in use; "
        f"stop what listens there, or set {setting} to another port\n"
    )


@pytest.mark.parametrize("host", ["h..h", "h" * 64])
def test_a_host_that_can_be_no_name_is_one_clear_line(host: str) -> None:
    ended = run_to_end("app", HOST=host, PORT=0, ADMIN_PORT=0)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(f"visits: cannot listen on {host}:0: ")
    assert len(ended.stderr.splitlines()) == 1
