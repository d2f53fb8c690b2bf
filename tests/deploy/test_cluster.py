"""Which errors mean that the API server is away, which that somebody may not, and what follows from each."""

import json

import pytest

from tests.deploy.shell import Reply, Shell, failure

AWAY = [
    "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
    "dial tcp 10.0.0.1:6443: connect: connection refused",
    "read tcp 10.0.0.2:1->10.0.0.1:6443: read: connection reset by peer",
    'Get "https://10.0.0.1:6443/api": dial tcp 10.0.0.1:6443: i/o timeout',
    "net/http: TLS handshake timeout",
    "context deadline exceeded (Client.Timeout exceeded while awaiting headers)",
    "http2: client connection lost",
    'http2: server sent GOAWAY and closed the connection; LastStreamID=1, ErrCode=NO_ERROR, debug=""',
    "Unable to connect to the server: EOF",
    'Get "https://10.0.0.1:6443/version": EOF',
    "unexpected EOF",
    "dial tcp: lookup api.test: no such host",
    "Error from server (ServiceUnavailable): the server is currently unable to handle the request",
    "the server is currently unable to handle the request (get pods)",
    "Error from server (TooManyRequests): the server has received too many requests",
    "error: Too many requests, please try again later.",
    "Error from server (Timeout): the server was unable to return a response in the time allotted",
    "Error: etcdserver: leader changed",
    "Error: query: failed to query with labels: the server was unable to return a response in the time "
    "allotted, but may still be processing the request (get secrets)",
    "the server has received too many requests and has asked us to try again later (get secrets)",
    "read tcp 10.0.0.2:1->10.0.0.1:6443: read: operation timed out",
    "write tcp 10.0.0.2:1->10.0.0.1:6443: write: broken pipe",
    "stream error: stream ID 5; INTERNAL_ERROR; received from peer",
    "dial tcp 10.0.0.1:6443: connect: host is down",
    "read tcp 10.0.0.2:1->10.0.0.1:6443: use of closed network connection",
]
NOT_AWAY = [
    'error validating data: containers[0].readinessProbe.timeoutSeconds: Invalid value: "x"',
    "values do not meet the schema: at '/redis': oneOf failed, none matched",
    'admission webhook "policy.test" denied the request: connection refused is no label',
    'Internal error occurred: failed calling webhook "policy.test": failed to call webhook: '
    'Post "https://policy.test:443/?timeout=10s": dial tcp 10.0.0.9:443: connect: connection refused',
    'failed calling webhook "policy.test": context deadline exceeded',
    "error: You must be logged in to the server (Unauthorized)",
    'Error from server (Forbidden): pods is forbidden: User "me" cannot list resource',
    'Error from server (NotFound): configmaps "shop-deploy" not found',
    "Error: UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
    "Error: timed out waiting for the condition",
    "error: EOFMARK is not a resource",
]


def told_apart(shell: Shell, test: str, errors: list[str]) -> list[str]:
    """Those that the test is true for."""
    for number, error in enumerate(errors):
        (shell.work / f"error.{number}").write_text(f"{error}\n")
    snippet = f"""for ((i = 0; i < {len(errors)}; i++)); do
        cp "$work/error.$i" "$work/error"
        if {test}; then echo "$i"; fi
      done"""
    return [errors[int(number)] for number in shell.says(snippet).split()]


def test_an_api_server_that_is_away(shell: Shell) -> None:
    assert told_apart(shell, "is_unreachable", AWAY) == AWAY


def test_a_login_that_gives_no_token_for_a_moment(shell: Shell) -> None:
    """What kubectl and Helm 3 and 4 said of it: nothing was asked of the cluster yet."""
    why = "getting credentials: exec: executable /opt/login failed with exit code 1"
    said = [f"Unable to connect to the server: {why}"]
    said += [
        f'Error: {k}ubernetes cluster unreachable: Get "https://api.test:6443/version": {why}' for k in "kK"
    ]
    assert told_apart(shell, "is_unreachable", said) == said


def test_what_only_sounds_like_it(shell: Shell) -> None:
    """A webhook that is away is somebody else's; and asking again would add failed revisions."""
    assert told_apart(shell, "is_unreachable", NOT_AWAY) == []


def test_who_asks_may_not(shell: Shell) -> None:
    denied = [
        "error: You must be logged in to the server (Unauthorized)",
        "error: the server has asked for the client to provide credentials",
        'Error from server (Forbidden): pods is forbidden: User "me" cannot list resource "pods"',
        "Unauthorized",
    ]
    assert told_apart(shell, "is_denied", denied) == denied
    assert told_apart(shell, "is_denied", [*AWAY, 'pods "x" not found', "Forbidden: updates to spec"]) == []


def asked(shell: Shell, *replies: str | Reply, how: str = "try_ask", **variables: object) -> Reply:
    shell.no_sleep()
    shell.stub("kubectl", {"get pods": list(replies)})
    done = shell.run(f'status=0; {how} get pods || status=$?; echo "$status $reply"', **variables)
    return Reply(done.stdout.strip(), done.status, done.stderr)


def test_it_is_asked_again_while_it_is_away(shell: Shell) -> None:
    assert asked(shell, failure(AWAY[0]), failure(AWAY[8]), "one two").out == "0 one two"
    assert len(shell.calls("kubectl")) == 3


def test_it_is_not_asked_for_ever(shell: Shell) -> None:
    assert asked(shell, failure(AWAY[0]), patience=0).out == "1"
    assert len(shell.calls("kubectl")) == 1


@pytest.mark.parametrize("error", NOT_AWAY)
def test_nothing_else_is_asked_again(error: str, shell: Shell) -> None:
    assert asked(shell, failure(error, 7), "one").out == "7"


@pytest.mark.parametrize(("changing", "status"), [("", 3), ("shop", 10)])
@pytest.mark.parametrize(
    ("error", "what"),
    [
        (AWAY[0], "the API server of the context «testing» does not answer: The connection"),
        (
            "error: You must be logged in to the server (Unauthorized)",
            "no right, or no longer: error: You must",
        ),
        (
            "Error from server: it is full",
            "the API server of the context «testing» refused: Error from server",
        ),
    ],
)
def test_no_answer_ends_the_deploy_where_one_is_needed(
    error: str, what: str, changing: str, status: int, shell: Shell
) -> None:
    """Also from within a condition; once something was changed, with another status."""
    done = asked(shell, failure(error), how="must_ask", patience=0, changing=changing)
    assert (done.status, done.out) == (status, "")
    assert f"deploy.sh: {what}" in done.error
    assert ("what runs in the cluster was not changed" in done.error) == (not changing)


@pytest.mark.parametrize(("version", "options"), [("v3.18.1+g1", ""), ("v4.1.4+g2", "--server-side=false")])
def test_each_helm_applies_on_the_client(version: str, options: str, shell: Shell) -> None:
    shell.stub("helm", {"version --short": version})
    assert shell.says('use_context; echo "${helm_apply[*]}"') == options
    assert shell.calls("helm") == ["--kube-context testing --namespace shop version --short"]


def test_a_server_that_hangs_is_not_waited_for(shell: Shell) -> None:
    shell.stub("helm", {"version --short": "v4.1.4"})
    shell.stub("kubectl", {"get pods": ""})
    shell.says("use_context; must_ask get pods")
    assert shell.calls("kubectl") == ["--context testing --namespace shop --request-timeout 10s get pods"]


def test_the_charts_are_told_of_the_cluster(shell: Shell) -> None:
    shell.stub(
        "kubectl", {"--raw /version": '{\n  "gitVersion": "v1.33.1+k3s1"\n}', "api-versions": "apps/v1\nv1\n"}
    )
    call = 'check_api; echo "$kubernetes_version $api_versions"'
    assert shell.says(call, "preflight") == "v1.33.1+k3s1 apps/v1,v1"


def test_the_charts_are_told_which_kinds_of_the_operator_there_are(shell: Shell) -> None:
    group = "monitoring.coreos.com/v1"
    resources = [{"kind": "PodMonitor"}, {"name": "podmonitors/status", "kind": "PodMonitor"}]
    kinds = json.dumps({"kind": "APIResourceList", "resources": resources}, separators=(",", ":"))
    shell.stub(
        "kubectl",
        {
            "--raw /version": '{"gitVersion": "v1.33.1"}',
            f"--raw /apis/{group}": kinds,
            "api-versions": f"{group}\nv1\n",
        },
    )
    told = shell.says('check_api; echo "$api_versions"', "preflight")
    assert told == f"{group},v1,{group}/APIResourceList,{group}/PodMonitor"
