"""What stands in front of the service, and is not the version's fault."""

import time
from pathlib import Path

from tests.faults.deploy.certificates import certificate_for
from tests.faults.deploy.conftest import MakeDeployment, fault, fault_without_visitors
from tests.faults.deploy.deployment import Deployment
from tests.faults.deploy.http_relay import Asked, Said, http_relay
from tests.faults.deploy.values import values_file


def test_a_redirect_to_https(installed: Deployment, tmp_path: Path) -> None:
    """The Ingress is plain HTTP; a load balancer before it ends TLS, and redirects to it."""
    ingress, host = installed.project.cluster.ingress, installed.project.host
    certificate = certificate_for(host, tmp_path)

    def redirects(asked: Asked) -> Said:
        return Said(308, headers={"Location": f"https://{asked.headers['Host']}{asked.path}"})

    with (
        http_relay(ingress, redirects) as plain,
        http_relay(ingress, lambda _: None, tls=certificate.context()) as secure,
    ):
        options = ["--ingress", f"{plain.address},{secure.address}", "--ca", str(certificate.file)]
        says = f"all answers from https://{host} through {secure.address} are good"
        with fault("redirect from http to https in front", installed, 0, says) as line:
            line.run = installed.run("12.0.0", "--no-candidate", *options)
        assert len(plain.struck) > 0
        assert secure.passed > 200, "the smoke test did not go there"
    assert "not trusted" not in line.run.output


def signs_in(_: Asked) -> Said:
    return Said(302, headers={"Location": "https://login.test/?next=visits"})


def test_a_sign_in_in_front(installed: Deployment) -> None:
    """It was there before the change, so the version is asked behind it."""
    says = "the Service answers well; the entrance does not, and did not before"
    with http_relay(installed.project.cluster.ingress, signs_in) as relay:
        with fault("redirect to a sign-in in front", installed, 0, says) as line:
            options = ["--no-candidate", "--ingress", relay.address]
            line.run = installed.run("12.1.0", *options, DEPLOY_SMOKE_SECONDS="5")
        assert len(relay.struck) > 2
    assert "what is wrong there is not the new version's fault" in line.run.output


class AwayAfter:
    """Passes everything on until it is told; then a balancer that knows no backend yet, for some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def begin(self) -> None:
        self._until = time.monotonic() + self._seconds

    def __call__(self, _: Asked) -> Said | None:
        if self._until is None or time.monotonic() > self._until:
            return None
        return Said(404, "default backend - 404")


def test_the_entrance_does_not_know_it_yet(installed: Deployment) -> None:
    away = AwayAfter(seconds=6)
    with http_relay(installed.project.cluster.ingress, away) as relay:
        with fault("entrance answers 404 for a while after the release", installed, 0) as line:
            line.run = installed.start("12.2.0", "--no-candidate", "--ingress", relay.address)
            line.run.await_step("watch")
            line.run.await_line("complete, 3 of 3 available")
            away.begin()
            line.run.wait()
        assert len(relay.struck) > 2
        assert relay.passed > 200


PROD = {
    "resources": {"requests": {"cpu": "25m", "memory": "64Mi"}},
    "autoscaling": {"maxReplicas": 3},
    # TLS ends at the entrance that a test puts before the ingress.
    "ingress": {
        "tls": {"enabled": True},
        "annotations": {"nginx.ingress.kubernetes.io/ssl-redirect": "false"},
    },
    "redis": {"singlePod": "allowed"},
}


def test_an_untrusted_certificate_in_prod(make_deployment: MakeDeployment, tmp_path: Path) -> None:
    """Its visitors would be warned, and it was so before the change: nothing is changed."""
    prod = make_deployment()
    project = prod.project
    good = certificate_for(project.host, tmp_path / "good")
    expired = certificate_for(project.host, tmp_path / "expired", days=-1)
    context = project.kubectl("config", "current-context").strip()
    options = ["--values", str(values_file(tmp_path, PROD)), "--context", context]
    entrances = {
        name: http_relay(project.cluster.ingress, lambda _: None, tls=certificate.context())
        for name, certificate in [("good", good), ("expired", expired)]
    }
    with entrances["good"] as trusted, entrances["expired"] as untrusted:
        through = {
            r.server_port: ["--ingress", f"{project.cluster.ingress},{r.address}"]
            for r in (trusted, untrusted)
        }
        options += ["--ca", str(good.file)]
        with fault_without_visitors("prod, certificate of an authority of its own (--ca)", prod, 0) as line:
            line.run = prod.run("1.0.0", *options, *through[trusted.server_port], environment="prod")
        assert (
            f"all answers from https://{project.host} through {trusted.address} are good" in line.run.output
        )
        state = prod.state()
        says = f"the certificate for {project.host} at {untrusted.address} is not trusted"
        options += ["--no-candidate", "--ca", str(expired.file)]
        with fault_without_visitors("prod, certificate expired", prod, 3, says) as line:
            line.run = prod.run("1.0.1", *options, *through[untrusted.server_port], environment="prod")
    assert "nothing was changed" in line.run.output
    assert prod.state() == state


def test_the_entrance_is_switched_off(installed: Deployment, tmp_path: Path) -> None:
    """Nobody misses what is no longer asked for, and what answers there is not asked to serve it."""
    off = values_file(tmp_path, {"ingress": {"enabled": False}})
    asked = installed.project.get("/version").json["version"]
    says = "the values ask for no entrance"
    with fault_without_visitors("the Ingress is switched off", installed, 0, says) as line:
        line.run = installed.run("12.3.0", "--no-candidate", "--values", str(off))
    with fault_without_visitors("--rollback brings the Ingress back", installed, 0) as line:
        line.run = installed.run_script(installed.project.name, "--rollback")
    assert installed.project.get("/version").json["version"] == asked
