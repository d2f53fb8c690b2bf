"""deploy.sh refuses a wrong command line in one line, with exit status 2, before it starts any tool."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "0123456789abcdef" * 4
GOOD = ["localhost:5000/visits", "1.0.0", "visits", "visits.test", "dev"]


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder of tools that only record that they were started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ["docker", "podman", "kubectl", "helm", "git", "curl"]:
        tool = folder / name
        tool.write_text(f'#!/bin/sh\necho "{name} $*" >>"{tmp_path}/started"\nexit 1\n')
        tool.chmod(0o755)
    return folder


def deploy(arguments: list[str], tools: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("DEPLOY_", "GITHUB_"))
    }
    path = f"{tools}:{os.environ['PATH']}"
    return subprocess.run(
        [str(ROOT / "deploy.sh"), *arguments],
        env={**inherited, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_on_github_a_refusal_is_the_same_line_to_these_tests(
    tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workflow runs them where GITHUB_ACTIONS is set, and there deploy.sh writes annotations, too."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert deploy(GOOD[:4], tools).stderr.startswith("deploy.sh: ")


def with_argument(position: int, value: str) -> list[str]:
    return [*GOOD[:position], value, *GOOD[position + 1 :]]


WRONG = {
    "image_name": [
        "",
        "visits:1.0",
        "Visits",
        "localhost:5000/",
        "a//b",
        "visits@sha256:0",
        "a b",
        "a\nb",
        "x" * 256,
    ],
    "image_tag": ["", ".1", "a b", "1/2", "1:2", "ü", "v" * 129, "$(id)", "1.0\n"],
    "project_name": [
        "",
        "Visits",
        "1st",
        "a_b",
        "a-",
        "p" * 41,
        "default",
        "kube-system",
        "a.b",
        "a\n",
        "on",
        "null",
    ],
    "base_url": [
        "",
        "http://visits.test",
        "visits.test:80",
        "visits.test/a",
        "Visits.test",
        "a..b",
        ".a",
        "a.",
        "192.0.2.1",
        "a_b.test",
        "l" * 64 + ".test",
        "*.test",
        "a." * 127 + "aa",
    ],
    "env": ["", "qa", "DEV", "production", "dev "],
}
REFUSED = [
    *[(name, with_argument(position, value)) for position, name in enumerate(WRONG) for value in WRONG[name]],
    *[(name, GOOD[:position]) for position, name in enumerate(WRONG)],
    ("argument 6", [*GOOD, "more"]),
    ("option", [*GOOD, "--force"]),
    ("--status", [*GOOD, "--plan", "--status"]),
    ("project_name", ["--status"]),
    ("project_name", ["Visits", "--rollback"]),
    ("base_url", ["visits", "--history", "a", "b"]),
    ("option", [*GOOD, "-x"]),
    ("--timeout", [*GOOD, "--timeout", "0"]),
    ("--timeout", [*GOOD, "--timeout=soon"]),
    ("--timeout", [*GOOD, "--timeout"]),
    ("--ingress", [*GOOD, "--ingress", "127.0.0.1"]),
    ("--platform", [*GOOD, "--platform", "amd64"]),
    ("--rollback-to", ["visits", "--rollback-to", ""]),
    ("--rollback-to", ["visits", "--rollback-to", "0"]),
    ("--namespace", [*GOOD, "--namespace", "kube-system"]),
    ("--values", [*GOOD, "--values", "/no/such/file"]),
    ("--redis-values", [*GOOD, "--redis-values", "/no/such/file"]),
    *[("image_name", [image, *GOOD[2:]]) for image in ["visits@sha256:0", f"visits@{DIGEST}0", f"@{DIGEST}"]],
    ("image_tag", [f"visits:@{DIGEST}", *GOOD[2:]]),
    ("argument 6", [f"visits@{DIGEST}", *GOOD[1:]]),
    ("env", [f"visits@{DIGEST}", *GOOD[2:4]]),
]


@pytest.mark.parametrize(("argument", "arguments"), REFUSED)
def test_refuses(argument: str, arguments: list[str], tools: Path) -> None:
    done = deploy(arguments, tools)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"deploy.sh: {argument}: got «")
    assert "allowed: " in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert not (tools.parent / "started").exists(), "a tool was started"


def test_one_line_names_what_was_given_and_what_is_allowed(tools: Path) -> None:
    done = deploy(with_argument(4, "qa"), tools)
    assert done.stderr == "deploy.sh: env: got «qa», allowed: dev, staging or prod\n"


ACCEPTED = [
    GOOD,
    with_argument(0, "visits"),
    with_argument(0, "Registry.example.com:5000/team/a__b/visits-api"),
    with_argument(1, "58467965"),
    with_argument(1, "v" * 128),
    with_argument(2, "p" * 40),
    with_argument(3, "xn--bcher-kva.example"),
    [
        "--timeout",
        "60",
        *GOOD,
        "--ingress=127.0.0.1:8080",
        "--platform",
        "linux/arm64/v8",
        "--namespace",
        "n" * 63,
    ],
    [f"localhost:5000/visits@{DIGEST}", *GOOD[2:], "--json"],
    [f"visits:1.0@{DIGEST}", *GOOD[2:]],
]


@pytest.mark.parametrize("arguments", ACCEPTED)
def test_accepts(arguments: list[str], tools: Path) -> None:
    """Good arguments get as far as the first tool, which the fixture makes fail."""
    done = deploy(arguments, tools)
    assert done.returncode == 3, done.stderr
    assert (tools.parent / "started").exists()


def test_help_tells_every_option_and_exit_status(tools: Path) -> None:
    done = deploy(["--help"], tools)
    assert done.returncode == 0
    script = (ROOT / "deploy" / "arguments.sh").read_text()
    parsed = re.findall(
        r"--[a-z-]+", script[script.index("parse_arguments()") : script.index("set_positional()")]
    )
    for option in set(parsed) - {"--"}:
        assert option in done.stdout
    for status in [*range(11), 20, 130, 143]:
        assert re.search(rf"\b{status}\b", done.stdout)


def test_version_is_the_charts(tools: Path) -> None:
    chart = (ROOT / ".helm" / "Chart.yaml").read_text()
    version = next(line.split()[1] for line in chart.splitlines() if line.startswith("version:"))
    assert deploy(["--version"], tools).stdout == f"deploy.sh {version}\n"


def test_prod_wants_its_context_named(tools: Path) -> None:
    done = deploy(with_argument(4, "prod"), tools)
    assert done.returncode == 3
    assert "prod: the kube context must be named" in done.stderr


def test_another_context_than_the_expected_is_refused(tools: Path) -> None:
    done = deploy([*with_argument(4, "prod"), "--context", "testing"], tools, DEPLOY_CONTEXT="production")
    assert done.returncode == 3
    assert "«testing»" in done.stderr
    assert "«production»" in done.stderr


@pytest.mark.parametrize("missing", ["kubectl", "helm"])
def test_a_missing_tool_is_named(missing: str, tools: Path, tmp_path: Path) -> None:
    """The PATH holds what a plain system has, less one tool."""
    (tools / missing).unlink()
    system = tmp_path / "system"
    system.mkdir()
    for name in ["bash", "dirname", "mktemp", "rm", "sed", "tail", "tr"]:
        found = next(Path(p, name) for p in os.environ["PATH"].split(":") if Path(p, name).exists())
        (system / name).symlink_to(found)
    done = subprocess.run(
        [str(system / "bash"), str(ROOT / "deploy.sh"), *GOOD],
        env={"PATH": f"{tools}:{system}"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.count("\n") <= 3
    assert f"{missing}: not found on PATH" in done.stderr


@pytest.mark.parametrize("name", ["SMOKE_SECONDS", "CANDIDATE_SECONDS", "PULL_SECONDS", "SLOWEST_ANSWER"])
def test_seconds_that_are_none_are_refused_before_anything(name: str, tools: Path) -> None:
    """After the release, bash ends the whole script at the first sum with them: no rollback, no words."""
    done = deploy(GOOD, tools, **{f"DEPLOY_{name}": "45s"})
    assert done.returncode == 2, done


@pytest.mark.parametrize(
    ("seconds", "status"),
    [("0", 2), ("0.0", 2), ("00.000", 2), ("0.0004", 2), ("0.001", 3), ("0.5", 3), ("10", 3), ("", 3)],
)
def test_an_answer_without_a_time_is_refused(seconds: str, status: int, tools: Path) -> None:
    """To curl no milliseconds are no limit."""
    assert deploy(GOOD, tools, DEPLOY_SLOWEST_ANSWER=seconds).returncode == status


def test_it_finds_itself_whatever_cdpath_says(tools: Path, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(ROOT)
    (tmp_path / "other" / "here").mkdir(parents=True)
    done = subprocess.run(
        ["bash", "here/deploy.sh", "--version"],
        cwd=tmp_path,
        env={"PATH": f"{tools}:{os.environ['PATH']}", "CDPATH": str(tmp_path / "other")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.startswith("deploy.sh "), done


@pytest.mark.parametrize("option", ["--values", "--redis-values"])
def test_a_second_file_of_values_is_refused(option: str, tools: Path, tmp_path: Path) -> None:
    """Helm would merge them; here the first would be left out without a word."""
    one, other = tmp_path / "1", tmp_path / "2"
    one.write_text("replicas: 3\n")
    other.write_text("replicas: 4\n")
    done = deploy([*GOOD, option, str(one), f"{option}={other}"], tools)
    assert done.returncode == 2
    assert done.stderr.startswith(f"deploy.sh: {option}: got «{other} as well», allowed: one file; ")


def test_of_other_options_the_last_counts(tools: Path) -> None:
    """As of those that a pipeline adds to a command of its own."""
    assert deploy([*GOOD, "--timeout", "60", "--timeout", "90"], tools).returncode == 3


def test_nobodys_preferences_of_kubectl_count(tools: Path, tmp_path: Path) -> None:
    """With one it asks a person before it deletes, and takes no answer for no."""
    kubectl = tools / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "kuberc $KUBERC" >>"{tmp_path}/started"\nexit 1\n')
    deploy(GOOD, tools, KUBERC=str(tmp_path / "kuberc"))
    assert set((tmp_path / "started").read_text().splitlines()) >= {"kuberc off"}


@pytest.mark.parametrize(("seconds", "status"), [("08", 2), ("010", 2), ("0", 3), ("99999", 3), ("", 3)])
def test_seconds_are_no_octal_numbers(seconds: str, status: int, tools: Path) -> None:
    assert deploy(GOOD, tools, DEPLOY_SMOKE_SECONDS=seconds).returncode == status


@pytest.mark.parametrize(
    ("given", "name", "tag"),
    [
        (f"localhost:5000/visits@{DIGEST}", "localhost:5000/visits", "0123456789ab"),
        (f"localhost:5000/visits:1.0@{DIGEST}", "localhost:5000/visits", "1.0"),
    ],
)
def test_an_image_may_be_named_by_its_digest(given: str, name: str, tag: str, shell: Shell) -> None:
    told = 'echo "$image_name $image_tag $asked_digest $build $environment"'
    call = f"parse_arguments {given} visits visits.test prod; {told}"
    assert shell.says(call) == f"{name} {tag} {DIGEST} no prod"


def test_a_digest_needs_no_docker(tools: Path, tmp_path: Path) -> None:
    """It comes as far as the API server, which nothing here answers for."""
    for tool in ["docker", "podman"]:
        (tools / tool).unlink()
    path = os.environ["PATH"]
    bare = tmp_path / "bare"
    bare.mkdir()
    for folder in path.split(os.pathsep):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else []:
            if program.name not in {"docker", "podman"} and not os.path.lexists(bare / program.name):
                (bare / program.name).symlink_to(program)
    named = [f"visits@{DIGEST}", *GOOD[2:], "--context", "testing"]
    for arguments, missing in [
        (named, "the API server"),
        ([*GOOD, "--context", "testing"], "docker or podman"),
    ]:
        done = deploy(arguments, tools, PATH=f"{tools}:{bare}")
        assert done.returncode == 3
        assert f"deploy.sh: {missing}" in done.stderr
