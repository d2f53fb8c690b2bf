"""The pod of `helm test`: what it is told; what it runs, against the real service and a real Redis."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import StartService, ValkeyServer
from tests.deploy.charts import EXTERNAL_REDIS, SERVICE, Values, document

SCRIPT = SERVICE / "files" / "helm_test.py"


def told(values: Values) -> dict[str, str]:
    (container,) = document(SERVICE, "Pod", values=values)["spec"]["containers"]
    return {one["name"]: one["value"] for one in container["env"]}


@pytest.mark.parametrize(
    ("hosts", "asked"),
    [("", "shop"), ("x.test", "x.test"), ("x.test,y.test", "x.test"), (" y.test , x.test", "y.test")],
)
def test_it_asks_for_a_host_that_the_service_serves(hosts: str, asked: str) -> None:
    """Any other would be refused."""
    assert told({"settings": {"ALLOWED_HOSTS": hosts}})["TEST_HOST"] == asked


def test_it_is_told_of_the_bundled_redis_alone() -> None:
    """Another need not have a password."""
    assert told({})["REDIS_ADDRESS"] == "shop-redis:6379"
    assert told(EXTERNAL_REDIS)["REDIS_ADDRESS"] == ""


def ask(service: str, redis: str) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.read_text().replace("PATIENCE_SECONDS = 60", "PATIENCE_SECONDS = 2")
    variables = {"PATH": os.environ["PATH"], "SERVICE": service, "TEST_HOST": "shop", "REDIS_ADDRESS": redis}
    return subprocess.run(
        [sys.executable, "-c", script], env=variables, capture_output=True, text=True, check=False
    )


def test_a_release_that_does_what_it_should(valkey: ValkeyServer, start_service: StartService) -> None:
    valkey.set_password("password")
    service = start_service(valkey, REDIS_PASSWORD="password").wait_until_ready()  # noqa: S106 - a test's own
    done = ask(f"127.0.0.1:{service.port}", f"127.0.0.1:{valkey.port}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "the probes answer: /healthz ok, /readyz ok",
        "the page counts: 1, then 2",
        "Redis refuses without a password: -NOAUTH Authentication required.",
    ]


def test_an_open_redis_fails(valkey: ValkeyServer, start_service: StartService) -> None:
    service = start_service(valkey).wait_until_ready()
    done = ask(f"127.0.0.1:{service.port}", f"127.0.0.1:{valkey.port}")
    assert done.returncode == 1
    assert "answers without a password: +PONG" in done.stderr


@pytest.mark.parametrize("paused", [True, False])
def test_a_service_without_its_redis_fails(
    valkey: ValkeyServer, start_service: StartService, paused: bool
) -> None:
    service = start_service(valkey, REQUEST_TIMEOUT=2).wait_until_ready()
    if paused:
        valkey.pause()
    else:
        valkey.stop()
    done = ask(f"127.0.0.1:{service.port}", "")
    if paused:
        valkey.resume()
    assert done.returncode == 1
    # A readiness that was asked for just before may still count.
    assert re.search("failed, (probes_answer: GET /readyz|page_counts: GET /) .* 503", done.stderr)


def test_nobody_there_fails() -> None:
    done = ask("127.0.0.1:1", "")
    assert done.returncode == 1
    assert "failed, probes_answer" in done.stderr
