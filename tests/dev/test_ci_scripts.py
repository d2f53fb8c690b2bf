"""The pipeline's scripts, with stubs for docker, helm, cosign and gh. With the real ones: tests/e2e."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "0123456789abcdef" * 4
OTHER = "sha256:" + "f" * 64
GIVEN = "given-by-this-test"
# Notes its arguments and what it was given, and answers by its first words.
STUB = """#!/bin/bash
printf '%s\\n' "${0##*/} ${*//$'\\n'/ }" >>"$NOTES"
case "$*" in
  login* | "release create"*) cat >>"$NOTES.stdin" ;;
  build*) while [ "$1" != --iidfile ]; do shift; done; echo IMAGE_ID >"$2"; env >"$NOTES.environment" ;;
  *inspect*) echo arm64 ;;
  pull*) echo "Digest: OTHER" ;;
  push*) printf 'The push refers to it\\n1.2.3: digest: DIGEST size: 1786\\nDigest: DIGEST\\n' ;;
  "manifest rm"*) exit 1 ;;
  "manifest push"*) echo DIGEST ;;
  package*) while [ "$1" != --destination ]; do shift; done; touch "$2"/{visits,redis}-1.2.3.tgz ;;
esac
"""
BASE = {"REGISTRY": "registry.test/Team/Repository", "VERSION": "v1.2.3"}


class Pipeline:
    """A checkout with one commit, and what the programs there were told."""

    def __init__(self, folder: Path) -> None:
        self.checkout, self.notes, self.bin = folder / "checkout", folder / "notes", folder / "bin"
        shutil.copytree(ROOT / "dev" / "ci", self.checkout / "dev" / "ci")
        (self.checkout / "app").mkdir()
        (self.checkout / "app" / "__init__.py").touch()
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.commit()
        self.bin.mkdir()
        text = STUB.replace("IMAGE_ID", OTHER).replace("OTHER", OTHER).replace("DIGEST", DIGEST)
        for program in ["docker", "helm", "cosign", "gh"]:
            (self.bin / program).write_text(text)
            (self.bin / program).chmod(0o755)

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def commit(self) -> None:
        who = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.com"]
        self.git(*who, "commit", "--quiet", "--allow-empty", "--message", "one more")

    def run(self, script: str, **settings: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.bin}:{os.environ['PATH']}"
        environment = {"PATH": path, "NOTES": str(self.notes), "HOME": str(self.checkout)} | BASE | settings
        return subprocess.run(
            [f"dev/ci/{script}"],
            cwd=self.checkout,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def outputs(self, script: str, **settings: str) -> dict[str, str]:
        done = self.run(script, **settings)
        assert done.returncode == 0, done.stderr
        return dict(line.split("=", 1) for line in done.stdout.splitlines())

    def told(self) -> list[str]:
        return self.notes.read_text().splitlines()


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    return Pipeline(tmp_path)


def test_login_gives_the_token_to_nobody_else(pipeline: Pipeline) -> None:
    done = pipeline.run("login", REGISTRY_USER="somebody", REGISTRY_TOKEN=GIVEN)
    assert done.returncode == 0, done.stderr
    assert pipeline.told() == ["docker login registry.test --username somebody --password-stdin"]
    assert Path(f"{pipeline.notes}.stdin").read_text().strip() == GIVEN
    assert GIVEN not in done.stdout + done.stderr


@pytest.mark.parametrize(
    "script", ["login", "image", "index", "charts", "sign", "release", "release-notes", "kind"]
)
def test_what_is_not_set_is_named(pipeline: Pipeline, script: str) -> None:
    done = pipeline.run(script, REGISTRY="", VERSION="")
    assert done.returncode == 1
    assert done.stderr.endswith(" is not set: docs/pipeline.md says what it is\n")
    assert not pipeline.notes.exists()


def test_an_image_is_named_by_its_digest(pipeline: Pipeline) -> None:
    assert pipeline.outputs("image", SOURCE="https://example.com/it") == {"arm64": DIGEST}
    name = "registry.test/team/repository/visits:1.2.3-arm64"
    _, built, _, tagged, pushed = pipeline.told()
    assert (tagged, pushed) == (f"docker tag {OTHER} {name}", f"docker push {name}")
    commit, seconds = pipeline.git("log", "-1", "--format=%H %ct").split()
    for given in [
        f"GIT_COMMIT={commit}",
        "VERSION=1.2.3",
        "SOURCE=https://example.com/it",
        f"PYTHON_DIGEST={OTHER}",
    ]:
        assert f"--build-arg {given} " in built
    environment = Path(f"{pipeline.notes}.environment").read_text().splitlines()
    assert {f"SOURCE_DATE_EPOCH={seconds}", "BUILDX_NO_DEFAULT_ATTESTATIONS=1"} <= set(environment)


def test_without_a_version_the_image_is_named_by_what_is_in_it(pipeline: Pipeline) -> None:
    """A commit to the docs alone builds the same image again: no pod rolls for it."""
    content = pipeline.git("rev-parse", "HEAD")
    pipeline.commit()
    assert pipeline.git("rev-parse", "HEAD") != content
    pipeline.outputs("image", VERSION="")
    tag, name = f"commit-{content[:12]}", "registry.test/team/repository/visits"
    assert f" --build-arg VERSION={tag} --build-arg GIT_COMMIT={content} " in pipeline.told()[1]
    assert pipeline.told()[-1] == f"docker push {name}:{tag}-arm64"
    pipeline.notes.unlink()
    pipeline.outputs("index", VERSION="", DIGESTS=DIGEST)
    assert pipeline.told()[-1] == f"docker manifest push --purge {name}:{tag}"


def test_what_the_image_holds_is_the_same_list_for_deploy_sh() -> None:
    held = re.compile(r"^image_content=\((.*)\)$", re.MULTILINE)
    lists = [held.findall((ROOT / file).read_text()) for file in ["dev/ci/lib.sh", "deploy/image.sh"]]
    assert lists[0] == lists[1] != []


def test_uncommitted_changes_are_not_built_under_a_commits_name(pipeline: Pipeline) -> None:
    (pipeline.checkout / "app" / "new.py").touch()
    done = pipeline.run("image")
    assert done.returncode == 1
    assert "app/new.py" in done.stderr
    assert not pipeline.notes.exists()


@pytest.mark.parametrize("script", ["image", "index", "charts"])
def test_a_registry_that_tells_no_digest_ends_the_job(pipeline: Pipeline, script: str) -> None:
    """The jobs after it would go on with one image fewer."""
    for program in ["docker", "helm"]:
        stub = pipeline.bin / program
        stub.write_text(re.sub(r"(?m)^  (push|\"manifest push\")\*.*\n", "", stub.read_text()))
    done = pipeline.run(script, DIGESTS=DIGEST)
    assert (done.returncode, "told no digest" in done.stderr) == (1, True)
    assert "=" not in done.stdout


def test_github_is_told_why_also_where_the_output_is_kept(pipeline: Pipeline) -> None:
    (pipeline.checkout / "CHANGELOG.md").touch()
    done = pipeline.run("release", SUBJECTS=f"a@{DIGEST}", GITHUB_ACTIONS="true")
    assert done.returncode == 1
    assert "::error::CHANGELOG.md says nothing under ## [1.2.3]" in done.stderr


def test_a_base_that_is_not_pinned_is_told(pipeline: Pipeline) -> None:
    assert "::warning::" in pipeline.run("image", GITHUB_ACTIONS="true").stderr
    pipeline.run("base")
    assert "::warning::" not in pipeline.run("image", GITHUB_ACTIONS="true").stderr


def test_a_pinned_base_is_not_asked_for(pipeline: Pipeline) -> None:
    assert pipeline.run("base").returncode == 0
    assert f"PYTHON_DIGEST={OTHER}\n" in (pipeline.checkout / "dev" / "ci" / "base-image").read_text()
    pipeline.notes.unlink()
    assert "what is not committed" in pipeline.run("image").stderr
    pipeline.git("add", "--all", "dev")
    pipeline.commit()
    pipeline.outputs("image")
    assert pipeline.told()[0].startswith("docker build ")


def test_an_image_on_another_base_has_another_name(pipeline: Pipeline) -> None:
    """A tag that names two contents moves, and what it named before is collected one day."""
    pipeline.outputs("image", VERSION="")
    before = pipeline.told()[-1]
    assert pipeline.run("base").returncode == 0
    pipeline.git("add", "--all", "dev")
    pipeline.commit()
    pipeline.outputs("image", VERSION="")
    assert before.startswith("docker push ")
    assert pipeline.told()[-1] != before


def test_every_setting_of_a_script_is_in_the_page_that_its_error_names() -> None:
    """«X is not set: docs/pipeline.md says what it is»."""
    scripts = (ROOT / "dev" / "ci").iterdir()
    lines = [
        found
        for file in scripts
        if file.is_file()
        for found in re.findall(r"(?m)^need (.*)$", file.read_text())
    ]
    needed = {name for line in lines for name in line.split()}
    page = (ROOT / "docs" / "pipeline.md").read_text()
    assert {name for name in needed if not re.search(rf"`[^`\n]*\b{name}\b", page)} == set()


@pytest.mark.parametrize(("script", "version"), [("image", "v1.2.3"), ("index", "")])
def test_a_shallow_clone_names_nothing(pipeline: Pipeline, tmp_path: Path, script: str, version: str) -> None:
    shallow = tmp_path / "shallow"
    pipeline.commit()
    pipeline.git("clone", "--quiet", "--depth", "1", f"file://{pipeline.checkout}", str(shallow))
    pipeline.checkout = shallow
    done = pipeline.run(script, VERSION=version, DIGESTS=DIGEST)
    assert done.returncode == 1
    assert "shallow clone" in done.stderr
    assert not pipeline.notes.exists()


def test_an_index_is_over_all_digests(pipeline: Pipeline) -> None:
    image = "registry.test/team/repository/visits"
    assert pipeline.outputs("index", DIGESTS=f"{DIGEST} {OTHER}") == {"image": image, "digest": DIGEST}
    assert pipeline.told()[1] == f"docker manifest create {image}:1.2.3 {image}@{DIGEST} {image}@{OTHER}"


def test_both_charts_are_pushed_as_this_version(pipeline: Pipeline) -> None:
    assert pipeline.outputs("charts") == {"visits": DIGEST, "redis": DIGEST}
    service, redis, *pushes = pipeline.told()
    assert service.startswith("helm package .helm --version 1.2.3 --app-version 1.2.3 ")
    assert redis.startswith("helm package .helm/redis --version 1.2.3 --destination ")
    assert all(push.endswith(" oci://registry.test/team/repository/charts") for push in pushes)


def test_only_digests_are_signed(pipeline: Pipeline) -> None:
    image, charts = f"registry.test/visits@{DIGEST}", "registry.test/team/repository/charts"
    signed = f"{image} {charts}/visits@{DIGEST} {charts}/redis@{OTHER}"
    told = pipeline.outputs("sign", IMAGE=image, CHARTS=f"visits@{DIGEST} redis@{OTHER}")
    assert told == {"charts": charts, "subjects": signed}
    assert pipeline.told() == [f"cosign sign --yes --recursive {signed}"]
    pipeline.notes.unlink()
    refused = pipeline.run("sign", IMAGE="registry.test/visits:1.2.3", CHARTS=f"visits@{DIGEST}")
    assert refused.returncode == 1
    assert "registry.test/visits:1.2.3 is not NAME@sha256:" in refused.stderr
    assert not pipeline.notes.exists()


CHANGELOG = (
    "# Changelog\n\n## [1.2.3] - 2026-01-01\n\n### Added\n\n- This.\n\n## [1.2.2]\n\n- That.\n\n[1.2.3]: x\n"
)


def test_a_release_tells_its_own_changes_and_its_digests(pipeline: Pipeline) -> None:
    (pipeline.checkout / "CHANGELOG.md").write_text(CHANGELOG)
    done = pipeline.run("release", SUBJECTS=f"a@{DIGEST} b@{OTHER}")
    assert done.returncode == 0, done.stderr
    assert pipeline.told() == ["gh release create v1.2.3 --verify-tag --title 1.2.3 --notes-file -"]
    notes = Path(f"{pipeline.notes}.stdin").read_text()
    assert "- This." in notes
    assert "That" not in notes
    assert f"- `a@{DIGEST}`\n- `b@{OTHER}`\n" in notes


@pytest.mark.parametrize(
    ("version", "told"), [("v1.2.4", "says nothing under ## [1.2.4]"), ("main", "not a version")]
)
def test_a_release_without_its_changes_is_not_begun(pipeline: Pipeline, version: str, told: str) -> None:
    (pipeline.checkout / "CHANGELOG.md").write_text(CHANGELOG)
    done = pipeline.run("release-notes", VERSION=version)
    assert done.returncode == 1
    assert told in done.stderr


def test_no_link_of_a_releases_text_is_relative(pipeline: Pipeline) -> None:
    """On the page of a release it would lead to releases/tag/docs/…"""
    real = (ROOT / "CHANGELOG.md").read_text()
    newest = re.sub(r"(?m)^## \[.*?\].*$", "## [1.2.3] - 2026-01-01", real, count=1)
    (pipeline.checkout / "CHANGELOG.md").write_text(newest)
    told = pipeline.run("release-notes").stdout
    assert "### Added" in told
    assert re.findall(r"\]\((?!https://)[^)]*\)", told) == []


def test_a_version_is_released_once(pipeline: Pipeline) -> None:
    """Tags move, and a run can be repeated: what a release's digests name stays."""
    (pipeline.checkout / "CHANGELOG.md").write_text("## [1.2.3] - 2026-01-01\n\n- It counts.\n")
    assert pipeline.run("release-notes").returncode == 0
    done = pipeline.run("release-notes", GH_TOKEN=GIVEN)
    assert done.returncode == 1
    assert "the release v1.2.3 exists" in done.stderr
    assert pipeline.told() == ["gh release view v1.2.3"]
