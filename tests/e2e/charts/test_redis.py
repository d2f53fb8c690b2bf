"""Redis and its data: moved, upgraded, stopped, backed up, restored; and a Redis that is somewhere else."""

import subprocess
from pathlib import Path

from tests.e2e.charts.conftest import Install
from tests.e2e.charts.installation import Installation
from tests.service import eventually
from tests.visitors import Visitors


def visit(installation: Installation, times: int) -> int:
    for _ in range(times):
        assert installation.get("/").status == 200
    return installation.counter()


def redis_identity(installation: Installation) -> str:
    found: str = installation.read("pod", f"{installation.name}-redis-0")["metadata"]["uid"]
    return found


def claim_identity(installation: Installation) -> str:
    (claim,) = installation.read("persistentvolumeclaims")["items"]
    found: str = claim["metadata"]["uid"]
    return found


def test_the_pod_moves_with_its_data(settled: Installation) -> None:
    """Deleted and scheduled anew. To another node it goes as far as its volume does."""
    before, old = visit(settled, 3), redis_identity(settled)
    settled.kubectl("delete", "pod", f"{settled.name}-redis-0", "--wait=true")
    outage = settled.outage()
    assert redis_identity(settled) != old
    assert settled.counter() == before + 1  # the visit that was answered first
    print(f"Redis moved, the page was away for {outage:.1f} s after the pod had ended", flush=True)


def test_it_stops_in_order(settled: Installation) -> None:
    """SIGTERM reaches Redis itself, which writes everything to the disk and ends with exit status 0."""
    pod = f"{settled.name}-redis-0"
    follow = subprocess.Popen(
        ["kubectl", "--namespace", settled.name, "logs", "--follow", pod],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    settled.kubectl("delete", "pod", pod, "--wait=true")
    output, _ = follow.communicate(timeout=60)
    assert "Received SIGTERM scheduling shutdown" in output
    assert "Calling fsync() on the AOF file" in output
    assert "Redis is now ready to exit, bye bye" in output
    settled.outage()


def test_an_upgrade_keeps_the_data_and_needs_no_manual_step(settled: Installation) -> None:
    before, claim, old = visit(settled, 2), claim_identity(settled), redis_identity(settled)
    settled.upgrade_redis(resources={"limits": {"memory": "160Mi"}}, podLabels={"team": "web"})
    settled.await_redis()
    settled.outage()
    assert redis_identity(settled) != old
    assert claim_identity(settled) == claim
    assert settled.counter() == before + 1
    settled.upgrade(podLabels={"team": "web"}, labels={"team": "web"})
    settled.await_service()
    assert settled.counter() >= before + 1


def test_backup_under_load_and_restore(settled: Installation, tmp_path: Path) -> None:
    """The commands of docs/redis.md."""
    pod, archive = f"{settled.name}-redis-0", tmp_path / "backup.tar"
    execute = ["kubectl", "--namespace", settled.name, "exec"]
    with Visitors(settled.cluster.ingress, settled.host, count=8, pause=0.02) as load:
        least = settled.counter()
        with archive.open("wb") as file:
            done = subprocess.run(
                [*execute, pod, "--", "sh", "/etc/redis/backup.sh"],
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
            )
        most = settled.counter()
        load.await_answers(20)
    assert done.returncode == 0, done.stderr.decode()
    assert load.failures == []
    later = visit(settled, 20)
    assert later > most

    with archive.open("rb") as file:
        restore = [*execute, "--stdin", pod, "--", "sh", "/etc/redis/restore.sh"]
        restored = subprocess.run(restore, stdin=file, capture_output=True, text=True, check=False)
    assert restored.returncode == 0, restored.stderr
    assert settled.counter() == later, "nothing changes before Redis starts again"
    settled.kubectl("delete", "pod", pod, "--wait=true")
    settled.outage()
    now = settled.counter()
    assert least < now <= most + 1  # and the one visit that ended the outage
    assert visit(settled, 2) == now + 2
    print(f"backup between {least} and {most}, {later} when restored, then {now - 1}", flush=True)


def test_a_damaged_backup_is_refused(settled: Installation) -> None:
    before = visit(settled, 1)
    command = ["kubectl", "--namespace", settled.name, "exec", "--stdin", f"{settled.name}-redis-0"]
    refused = subprocess.run(
        [*command, "--", "sh", "/etc/redis/restore.sh"], input=b"no archive", capture_output=True, check=False
    )
    assert refused.returncode != 0
    settled.kubectl("delete", "pod", f"{settled.name}-redis-0", "--wait=true")
    settled.outage()
    assert settled.counter() == before + 1


def test_a_redis_outside_the_namespace(make_installation: Install) -> None:
    """redis.mode external: the service in one namespace, a Redis that another team runs in another one."""
    theirs, ours = make_installation(), make_installation()
    theirs.create_password()
    ours.create_password(REDIS_PASSWORD=f"password-of-{theirs.name}")
    namespace = {"matchLabels": {"kubernetes.io/metadata.name": ours.name}}
    theirs.upgrade_redis(networkPolicy={"extraFrom": [{"namespaceSelector": namespace}]})
    theirs.await_redis()
    redis = {"mode": "external", "host": f"{theirs.name}-redis.{theirs.name}.svc"}
    ours.upgrade(redis=redis, secret={"mode": "existing"}, settings={"COUNTER_KEY": "ours"})
    ours.await_service()
    assert visit(ours, 3) >= 3
    assert "Redis refuses without a password" in ours.helm("test", ours.name, "--logs")
    assert "redis" not in ours.kubectl("get", "statefulsets", "-o", "name")

    # Not through a policy that does not name us: the same Redis, without the exception.
    theirs.upgrade_redis()
    theirs.kubectl("delete", "pod", f"{theirs.name}-redis-0", "--wait=true")
    theirs.await_redis()
    eventually(lambda: ours.pods() == [], "the pods are unready", 60)
