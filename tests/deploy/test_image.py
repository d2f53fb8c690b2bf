"""The image's names: by content, by tag, by digest."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.shell import ROOT, Reply, Shell, failure

DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
IMAGE = {
    "image_name": "registry.test:5000/shop",
    "image_tag": "1.0",
    "container_tool": "docker",
    "build": "yes",
}
PLATFORM = "image_platform=(--platform linux/arm64)"


def test_the_tag_of_an_image_fits(shell: Shell) -> None:
    tag = built(shell, image_tag="v" * 128)
    assert len(tag) <= 128
    assert tag.endswith("-0123456789ab")


@pytest.mark.parametrize(
    ("transfer", "file", "inspect"),
    [
        (f"1.0: digest: {DIGEST} size: 1234\n", "", ""),
        (f"Digest: {DIGEST}\nStatus: Image is up to date\n", "", ""),
        (f"1.0: digest: {OTHER} size: 1\nlatest: digest: {DIGEST} size: 2\n", "", ""),
        ("", DIGEST, ""),
        ("", "", f"registry.test:5000/other@{OTHER}\nregistry.test:5000/shop@{DIGEST}\n"),
    ],
    ids=["docker push", "docker pull", "the last one", "podman", "docker says nothing"],
)
def test_find_digest(transfer: str, file: str, inspect: str, shell: Shell) -> None:
    shell.stub("docker", {"image inspect": inspect})
    (shell.work / "transfer").write_text(transfer)
    if file:
        (shell.work / "digest").write_text(file)
    assert (
        shell.says("find_digest registry.test:5000/shop:1.0; echo $asked_digest", "image", **IMAGE) == DIGEST
    )


@pytest.mark.parametrize(
    ("name", "known_as"),
    [("visits", "docker.io/library/visits"), ("team/visits", "docker.io/team/visits"), ("visits", "visits")],
)
def test_podman_names_docker_hub_in_full(name: str, known_as: str, shell: Shell) -> None:
    others = "".join(f"{other}@{OTHER}\n" for other in ["docker.io/library/more-visits", "other.test/visits"])
    shell.stub("podman", {"image inspect": f"{others}{known_as}@{DIGEST}\n"})
    (shell.work / "transfer").write_text("pulled\n")
    known = IMAGE | {"image_name": name, "container_tool": "podman"}
    assert shell.says(f"find_digest {name}:1.0; echo $asked_digest", "image", **known) == DIGEST


def test_no_digest_is_no_deploy(shell: Shell) -> None:
    shell.stub("docker", {"image inspect": f"registry.test:5000/other@{OTHER}\n"})
    (shell.work / "transfer").write_text("pushed\n")
    done = shell.run("find_digest registry.test:5000/shop:1.0; echo on", "image", **IMAGE)
    assert (done.status, done.stdout) == (4, "")


def pushed(shell: Shell, push: str | Reply, **more: str) -> Reply:
    shell.stub("docker", {"push": push, "pull": f"Digest: {DIGEST}\n", "tag": ""})
    (shell.work / "image-id").write_text(f"{OTHER}\n")
    call = f'{PLATFORM}; content_tag=1.0-abc; push_image; echo "$asked_digest"'
    done = shell.run(call, "image", **(IMAGE | more))
    return Reply(done.stdout.strip(), done.status, done.stderr)


def test_what_this_build_made_is_pushed_under_its_own_name_first(shell: Shell) -> None:
    """Another checkout may have given the local tag to another image meanwhile."""
    assert pushed(shell, f"digest: {DIGEST} size: 1\n").out == DIGEST
    name = "registry.test:5000/shop"
    assert shell.calls("docker") == [
        f"tag {OTHER} {name}:1.0-abc",
        f"push {name}:1.0-abc",
        f"tag {name}:1.0-abc {name}:1.0",
        f"push {name}:1.0",
    ]


def test_what_is_not_built_is_pulled_for_the_nodes(shell: Shell) -> None:
    assert pushed(shell, "", build="no").out == DIGEST
    assert shell.calls("docker") == ["pull --platform linux/arm64 registry.test:5000/shop:1.0"]


def test_what_is_named_by_its_digest_is_neither_built_nor_pulled(shell: Shell) -> None:
    call = 'build_image; push_image; echo "$asked_digest"'
    assert shell.says(call, "image", **(IMAGE | {"build": "no", "asked_digest": DIGEST})) == DIGEST
    assert shell.calls("docker") == []


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        ("denied: requested access to the resource is denied", "docker login registry.test:5000"),
        ("5f70bf18a086: Layer already exists\nunauthorized: authentication required", "docker login"),
        ("tag invalid: The image tag '1.0' already exists and is immutable", "--no-build"),
    ],
)
def test_a_failed_push_says_what_to_do(error: str, advice: str, shell: Shell) -> None:
    done = pushed(shell, failure(error))
    assert done.status == 4
    assert advice in done.error


def built(shell: Shell, **more: str) -> str:
    """The tag that names the content; how it was built is in the file `built`."""
    text = 'echo "$SOURCE_DATE_EPOCH $BUILDX_NO_DEFAULT_ATTESTATIONS $*" >"$TMP/built"\n'
    text += 'while [ "$1" != --iidfile ]; do shift; done\necho sha256:0123456789abcdef >"$2"\n'
    shell.script("docker", f"#!/bin/sh\nTMP='{shell.folder}'\n{text}")
    find = "find_commit() { commit=c0ffee commit_time=2026-01-01T00:00:00Z commit_seconds=1767225600; }"
    call = f'{find}; {PLATFORM}; build_image 3>&1 >/dev/null; echo "$content_tag"'
    return shell.says(call, "image", **(IMAGE | more))


def test_the_same_content_is_built_to_the_same_digest(shell: Shell) -> None:
    assert built(shell) == "1.0-0123456789ab"
    call = (shell.folder / "built").read_text()
    assert call.startswith("1767225600 1 build --platform linux/arm64 --iidfile ")
    assert "--build-arg GIT_COMMIT=c0ffee" in call


def checksum(shell: Shell, folder: Path, **more: str) -> str:
    call = "content_checksum"
    return shell.says(f"root={folder}; {call}", "image", **(IMAGE | more))


def test_the_checksum_is_of_what_the_image_is_made_of(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    (folder / "app" / "__pycache__").mkdir(parents=True)
    packages = ["requirements.txt", "requirements-tracing.txt"]
    for name in ["Dockerfile", *packages, ".dockerignore", "app/one.py", "app/two words.py"]:
        (folder / name).write_text(name)
    before = checksum(shell, folder)
    (folder / "README.md").write_text("more")
    (folder / "app" / "__pycache__" / "one.pyc").write_text("more")
    assert checksum(shell, folder) == before
    assert checksum(shell, folder, image_tag="1.1") != before
    assert checksum(shell, folder, platform="linux/arm64") != before
    (folder / "app" / "two words.py").write_text("changed")
    assert checksum(shell, folder) != before


def committed(folder: Path) -> None:
    """Make a checkout of what the image is made of, with one commit."""
    (folder / "app").mkdir(parents=True)
    packages = ["requirements.txt", "requirements-tracing.txt"]
    for name in ["Dockerfile", *packages, ".dockerignore", "app/one.py"]:
        (folder / name).write_text(name)
    author = ["-c", "user.name=me", "-c", "user.email=me@shop.test"]
    for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "one"]):
        subprocess.run(["git", "-C", str(folder), *author, *command], check=True)


def test_a_commit_that_the_image_differs_from_is_told_apart(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    committed(folder)
    call = f'root={folder}; find_commit; echo "$commit"'
    commit = shell.says(call, "image")
    assert re.fullmatch(r"[0-9a-f]{40}", commit)
    (folder / "README.md").write_text("more")
    assert shell.says(call, "image") == commit
    (folder / "app" / "one.py").write_text("changed")
    done = shell.run(call, "image")
    assert done.stdout == f"{commit}-dirty\n"
    assert f"the image holds uncommitted changes: /version says {commit}-dirty" in done.stderr


def test_what_git_leaves_running_holds_nothing_of_the_deploy(shell: Shell) -> None:
    """Neither the lock's pipe, whose end is the deploy's end, nor what the deploy writes to."""
    look = 'for number in 3 5 9; do { : >&"$number"; } 2>/dev/null && echo "holds $number" >>"$HELD"; done'
    shell.script("git", f"#!/bin/bash\n{look}\necho true 1 2\n")
    held = shell.folder / "held"
    call = f'export HELD={held}; exec 9>"$work/pipe"; content_checksum; find_commit'
    shell.says(call, "image", **IMAGE)
    assert not held.exists(), held.read_text()


def test_git_starts_no_daemon_and_changes_nothing(shell: Shell) -> None:
    """An index that is written anew under our umask cannot be read by others who share the checkout."""
    shell.stub("git", {"": "true 1 2"})
    shell.says("content_checksum; find_commit", "image", **IMAGE)
    calls = shell.calls("git")
    assert len(calls) == 4
    for call in calls:
        assert "-c core.fsmonitor=false" in call
        assert "--no-optional-locks" in call


def test_a_signature_that_git_shows_is_no_commit(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    committed(folder)
    signs = "#!/bin/sh\ncat >/dev/null\nprintf '\\n[GNUPG:] SIG_CREATED D\\n' >&2\n"
    signs += "printf -- '-----%s PGP SIGNATURE-----\\n' BEGIN END\n"
    shell.script("gpg", signs)
    configure = ["git", "-C", str(folder), "config"]
    subprocess.run([*configure, "log.showSignature", "true"], check=True)
    subprocess.run([*configure, "gpg.program", str(shell.bin / "gpg")], check=True)
    author = ["-c", "user.name=me", "-c", "user.email=me@shop.test"]
    signed = ["commit", "--quiet", "--amend", "--gpg-sign=me", "--message", "signed"]
    subprocess.run(["git", "-C", str(folder), *author, *signed], check=True)
    shell.script("gpg", "#!/bin/sh\necho 'gpg: Good signature' >&2\necho '[GNUPG:] GOODSIG 1 me'\n")
    call = f'root={folder}; find_commit; echo "$commit $commit_seconds"'
    assert re.fullmatch(r"[0-9a-f]{40} [0-9]+", shell.says(call, "image"))


def test_a_hook_of_another_repository_does_not_name_the_commit(shell: Shell, tmp_path: Path) -> None:
    """git tells its hooks, and what they start, of the repository that they are in."""
    committed(tmp_path / "checkout")
    committed(tmp_path / "other")
    author = ["-c", "user.name=me", "-c", "user.email=me@shop.test"]
    more = ["commit", "--quiet", "--amend", "--message", "another"]
    subprocess.run(["git", "-C", str(tmp_path / "other"), *author, *more], check=True)
    call = f'root={tmp_path}/checkout; find_commit; echo "$commit"; content_checksum'
    before = shell.says(call, "image", **IMAGE)
    hook = f"export GIT_DIR={tmp_path}/other/.git GIT_INDEX_FILE={tmp_path}/other/.git/index "
    hook += f"GIT_WORK_TREE={tmp_path}/other"
    assert shell.says(f"{hook}; {call}", "image", **IMAGE) == before


def test_without_git_the_commit_is_unknown(shell: Shell) -> None:
    shell.script("git", "#!/bin/sh\nexit 127\n")
    done = shell.run('find_commit; echo "$commit"', "image", **IMAGE)
    assert (done.status, done.stdout) == (0, "unknown\n")
    assert "no git commit found" in done.stderr


def test_nothing_but_the_service_and_its_packages_gets_into_the_image() -> None:
    """No key or kube config that lies in the checkout: a registry shows an image to all who may pull it."""
    packages = ["requirements.txt", "requirements-tracing.txt"]
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] != "#"]
    assert ignored[0] == "*"
    assert {line for line in ignored if line.startswith("!")} == {"!app", *(f"!{file}" for file in packages)}
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^(?:COPY|ADD) (.*) \S+$", dockerfile, re.MULTILINE)
    assert {one for one in copied if not one.startswith("--from=")} == {"app", " ".join(packages)}
    # What is given to a build stays in the image's history.
    given = set(re.findall(r"^ARG (\w+)", dockerfile, re.MULTILINE))
    assert given == {
        *("PYTHON_IMAGE", "PYTHON_DIGEST", "TRACING"),
        *("SOURCE", "VERSION", "GIT_COMMIT", "COMMIT_TIME"),
    }
    assert "--require-hashes" in dockerfile
