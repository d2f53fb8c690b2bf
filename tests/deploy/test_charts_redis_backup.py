"""The Redis chart's backup and restore, of a real server's data."""

import time
from pathlib import Path

import pytest

from tests.deploy.redis_pod import RedisPod, ended, needs_sha256sum, started_with

pytestmark = needs_sha256sum


@pytest.fixture
def pod(tmp_path: Path) -> RedisPod:
    return RedisPod(tmp_path)


def test_a_backup_is_restored_at_the_next_start(pod: RedisPod) -> None:
    process = started_with(pod, 3)
    backup = pod.script("backup.sh")
    assert backup.returncode == 0, backup.stderr
    with pod.client() as client:
        assert client.incr("counter") == 4
        restored = pod.script("restore.sh", backup.stdout)
        assert restored.returncode == 0, restored.stderr
        assert client.get("counter") == "4"
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.incr("counter") == 4
        # A second time, with what the first one replaced still there.
        assert pod.script("restore.sh", backup.stdout).returncode == 0
    assert "starting with the restored data" in ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "3"
    ended(process)
    assert not (pod.folder / "data" / "replaced" / "appendonlydir").exists()
    assert sorted(one.name for one in (pod.folder / "data").iterdir()) == ["appendonlydir", "replaced"]


def test_a_backup_while_the_file_is_rewritten(pod: RedisPod) -> None:
    """Files come and go under the backup; each one holds what was acknowledged before it began."""
    process = started_with(pod, 1)
    with pod.client() as client:
        for number in range(1000):
            client.set(f"ballast:{number}", "x" * 1000)
        for visit in range(2, 12):
            assert client.incr("counter") == visit
            client.bgrewriteaof()
            backup = pod.script("backup.sh")
            assert backup.returncode == 0, backup.stderr
            while client.info("persistence")["aof_rewrite_in_progress"]:
                time.sleep(0.01)
            restored = pod.script("restore.sh", backup.stdout)
            assert restored.returncode == 0, restored.stderr
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "11"
    ended(process)


@pytest.mark.parametrize("damage", ["nothing", "text", "half an archive", "another byte"])
def test_a_damaged_backup_is_refused_and_the_data_stays(pod: RedisPod, damage: str) -> None:
    process = started_with(pod, 3)
    good = pod.script("backup.sh").stdout
    place = good.index(b"$7\r\ncounter")
    bad = {
        "nothing": b"",
        "text": b"not an archive",
        "half an archive": good[: len(good) // 4],
        "another byte": good[:place] + b"!" + good[place + 1 :],
    }[damage]
    assert pod.script("restore.sh", bad).returncode != 0
    assert not (pod.folder / "data" / "restored").exists()
    ended(process)
    process = pod.start()
    with pod.client() as client:
        assert client.get("counter") == "3"
    ended(process)


@pytest.mark.parametrize(("failed_checks", "status"), [(2, 0), (9, 1)], ids=["the third is whole", "none is"])
def test_a_copy_that_is_not_whole_is_no_backup(pod: RedisPod, failed_checks: int, status: int) -> None:
    """It is made again, a few times."""
    process = started_with(pod, 3)
    checks = pod.folder / "checks"
    pod.program("redis-check-aof", f"echo >>{checks}\n[ $(wc -l <{checks}) -gt {failed_checks} ]")
    backup = pod.script("backup.sh")
    assert (backup.returncode, bool(backup.stdout)) == (status, status == 0)
    assert len(checks.read_text().splitlines()) == (3 if status == 0 else 5)
    ended(process)
    assert [one.name for one in (pod.folder / "data").iterdir()] == ["appendonlydir"]


def test_what_was_left_in_the_middle_goes_at_the_next_start(pod: RedisPod) -> None:
    """Backups and restores that were killed would fill the volume."""
    data = pod.folder / "data"
    for name in ("backup.x1y2z3", "restoring"):
        (data / name).mkdir()
        (data / name / "half").write_text("half")
    ended(started_with(pod, 1))
    assert [one.name for one in data.iterdir()] == ["appendonlydir"]
