"""What the charts render: valid objects, the same on every Helm, with the promised names and numbers."""

import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from tests.deploy.charts import (
    CHARTS,
    DIGEST,
    ENVIRONMENTS,
    HELMS,
    REDIS,
    ROOT,
    SERVICE,
    Document,
    configuration,
    container,
    document,
    documents,
    label,
    pod,
    workload,
)

LONGEST_PROJECT = "p" + "x" * 38 + "9"
each_chart = pytest.mark.parametrize("chart", CHARTS, ids=label)
each_environment = pytest.mark.parametrize("environment", ENVIRONMENTS)


@pytest.mark.skipif(len(HELMS) < 2, reason="this machine has one Helm")
@each_chart
@each_environment
def test_every_helm_renders_the_same(chart: Path, environment: str) -> None:
    first, second = (documents(chart, environment, helm=helm) for helm in HELMS)
    assert first == second


@each_chart
@each_environment
@pytest.mark.parametrize("version", ["1.32", "1.37"])
def test_objects_are_valid(chart: Path, environment: str, version: str) -> None:
    for one in documents(chart, environment):
        assert kubernetes_validate.validate(one, version, strict=True) == version


@pytest.mark.parametrize("helm", HELMS)
@each_chart
@each_environment
def test_lint(helm: str, chart: Path, environment: str) -> None:
    values = str(chart / f"values-{environment}.yaml")
    command = [str(ROOT / ".tools" / helm), "lint", "--strict", str(chart), "--values", values]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("helm", HELMS)
def test_values_arrive_as_a_deploy_gives_them(helm: str) -> None:
    """A tag such as 007 must stay a text."""
    command = [str(ROOT / ".tools" / helm), "template", "shop", str(SERVICE), "--namespace", "shop"]
    command += ["--set-string", f"image.repository=localhost:5000/visits,image.tag=007,image.digest={DIGEST}"]
    command += ["--set-string", "ingress.host=x.test", "--values", str(SERVICE / "values-dev.yaml")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    expected = documents(SERVICE, values={"image": {"tag": "007"}})
    assert [one for one in yaml.safe_load_all(result.stdout) if one] == expected


def kinds(chart: Path, environment: str = "dev") -> list[str]:
    return sorted(one["kind"] for one in documents(chart, environment))


def test_kinds() -> None:
    assert kinds(SERVICE) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Ingress",
        "NetworkPolicy",
        "NetworkPolicy",
        "Pod",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ]
    assert kinds(REDIS) == ["ConfigMap", "NetworkPolicy", "Service", "StatefulSet"]


@each_chart
@each_environment
def test_no_secret_is_rendered(chart: Path, environment: str) -> None:
    assert "Secret" not in kinds(chart, environment)


@each_chart
def test_objects_are_named_and_labelled_alike(chart: Path) -> None:
    release = "shop" if chart == SERVICE else "shop-redis"
    name = "visits" if chart == SERVICE else "redis"
    for one in documents(chart):
        if one["metadata"]["name"] == "shop-test":  # no selector of the service's pods may find it
            continue
        assert one["metadata"]["name"] == release
        assert one["metadata"]["labels"] == {
            "app.kubernetes.io/name": name,
            "app.kubernetes.io/instance": release,
            "app.kubernetes.io/version": "1.0.0" if chart == SERVICE else "8",
            "app.kubernetes.io/part-of": "shop",
            "app.kubernetes.io/managed-by": "Helm",
            "helm.sh/chart": f"{name}-1.0.0",
        }


@each_chart
def test_selectors_are_name_and_instance_and_match_the_pods(chart: Path) -> None:
    labels = pod(chart)["metadata"]["labels"]
    for selector in (
        workload(chart)["spec"]["selector"]["matchLabels"],
        document(chart, "Service")["spec"]["selector"],
    ):
        assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
        assert selector.items() <= labels.items()


def names_and_labels(one: Document) -> list[str]:
    """Every name and label value of an object that the cluster makes others from."""
    labels = one["metadata"]["labels"].values()
    claims = one["spec"].get("volumeClaimTemplates", []) if "spec" in one else []
    pods = [f"{one['metadata']['name']}-0"] if claims else []
    return [
        one["metadata"]["name"],
        *labels,
        *pods,
        *(f"{claim['metadata']['name']}-{pods[0]}" for claim in claims),
    ]


@each_chart
def test_the_longest_project_fits(chart: Path) -> None:
    for one in documents(chart, project=LONGEST_PROJECT):
        assert max(map(len, names_and_labels(one))) <= 63
        # A Deployment's pods and a StatefulSet's revision carry a hash of up to 10 characters, pods 6 more.
        assert len(one["metadata"]["name"]) + len("-") + 10 + len("-") + 5 <= 63


@pytest.mark.parametrize(
    ("tag", "label"),
    [
        ("2.0", "2.0"),
        ("007", "007"),
        ("_x_", "x"),
        ("v" * 128, "v" * 63),
        ("a" * 62 + "." + "b" * 65, "a" * 62),
        ("___", "1.0.0"),
    ],
)
def test_any_tag_makes_a_valid_version_label(tag: str, label: str) -> None:
    template = pod(SERVICE, values={"image": {"tag": tag}})
    assert template["metadata"]["labels"]["app.kubernetes.io/version"] == label


def test_the_digest_runs_whatever_the_tag_says() -> None:
    assert container(SERVICE)["image"] == f"localhost:5000/visits@{DIGEST}"
    assert {"name": "IMAGE_DIGEST", "value": DIGEST} in container(SERVICE)["env"]
    assert container(REDIS, values={"image": {"digest": DIGEST}})["image"] == f"redis@{DIGEST}"


def test_without_a_digest_the_tag_runs() -> None:
    assert container(SERVICE, values={"image": {"digest": ""}})["image"] == "localhost:5000/visits:1.0.0"
    assert container(REDIS)["image"] == "redis:8"
    assert container(REDIS, values={"image": {"tag": "8.2"}})["image"] == "redis:8.2"


def probe(one: Document) -> tuple[str, int, int, int]:
    return one["httpGet"]["path"], one["periodSeconds"], one["timeoutSeconds"], one["failureThreshold"]


def test_probes_of_the_service() -> None:
    main = container(SERVICE)
    assert probe(main["startupProbe"]) == ("/healthz", 2, 3, 30)
    assert probe(main["livenessProbe"]) == ("/healthz", 10, 3, 6)
    assert probe(main["readinessProbe"]) == ("/readyz", 2, 2, 6)
    assert {main[name]["httpGet"]["port"] for name in main if name.endswith("Probe")} == {"http"}
    ports = {port["name"]: port["containerPort"] for port in main["ports"]}
    assert ports == {"http": 8000, "admin": 8001}


def test_the_service_reaches_the_public_port_only() -> None:
    (port,) = document(SERVICE, "Service")["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (80, "http")


def test_the_ingress_leads_to_the_service() -> None:
    ingress = document(SERVICE, "Ingress")
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert rule["host"] == "x.test"
    assert path["backend"]["service"] == {"name": "shop", "port": {"name": "http"}}
    assert "tls" not in ingress["spec"]
    assert "ingressClassName" not in ingress["spec"]


def test_the_ingress_with_tls_and_a_class() -> None:
    values = {"ingress": {"className": "nginx", "annotations": {"a/b": "c"}, "tls": {"enabled": True}}}
    ingress = document(SERVICE, "Ingress", values=values)
    assert ingress["spec"]["tls"] == [{"hosts": ["x.test"], "secretName": "shop-tls"}]
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["metadata"]["annotations"] == {"a/b": "c"}


def test_without_an_ingress() -> None:
    found = documents(SERVICE, values={"ingress": {"enabled": False, "host": ""}})
    assert "Ingress" not in {one["kind"] for one in found}


@each_environment
def test_the_autoscaler_alone_decides_on_replicas(environment: str) -> None:
    assert "replicas" not in workload(SERVICE, environment)["spec"]
    autoscaler = document(SERVICE, "HorizontalPodAutoscaler", environment)["spec"]
    assert autoscaler["minReplicas"] >= 3
    assert autoscaler["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 70}
    assert autoscaler["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop"}


def test_replicas_without_the_autoscaler() -> None:
    off = {"autoscaling": {"enabled": False}}
    assert workload(SERVICE, values=off)["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in {one["kind"] for one in documents(SERVICE, values=off)}


@each_environment
def test_a_rollout_never_goes_below_what_serves(environment: str) -> None:
    spec = workload(SERVICE, environment)["spec"]
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": "25%"}
    # One that turns unready right after it was ready replaces nobody.
    assert spec["minReadySeconds"] > 0
    startup = container(SERVICE, environment)["startupProbe"]
    patience = startup["periodSeconds"] * startup["failureThreshold"] + spec["minReadySeconds"]
    assert spec["progressDeadlineSeconds"] > patience


@each_environment
def test_a_pod_may_drain_before_it_is_killed(environment: str) -> None:
    settings = configuration(environment)
    drain = float(settings["DRAIN_DELAY"]) + float(settings["DRAIN_TIMEOUT"])
    assert pod(SERVICE, environment)["spec"]["terminationGracePeriodSeconds"] > drain


@each_chart
def test_what_an_operator_may_add_to_the_pods(chart: Path) -> None:
    added = {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "imagePullSecrets": [{"name": "registry"}],
    }
    template = pod(chart, values={**added, "podAnnotations": {"a": "b"}, "podLabels": {"team": "web"}})
    assert {name: template["spec"][name] for name in added} == added
    assert template["metadata"]["annotations"]["a"] == "b"
    assert template["metadata"]["labels"]["team"] == "web"
