"""What OpenTelemetry's variables ask for."""

import pytest

from app.settings import Settings, SettingsError
from app.telemetry.tracing import Sampling, start_tracing, wanted_sampling
from tests.service import ROOT, run_without

ALL = Sampling(follows_parent=True, ratio=1.0)
ON = {"OTEL_TRACES_EXPORTER": "otlp"}


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_TRACES_EXPORTER": ""},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"},
        {"OTEL_SERVICE_NAME": "visits", "OTEL_TRACES_SAMPLER": "always_on"},
        ON | {"OTEL_SDK_DISABLED": "true"},
        ON | {"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_SAMPLER": "nonsense"},
    ],
)
def test_off(variables: dict[str, str]) -> None:
    assert wanted_sampling(variables) is None
    assert start_tracing(Settings(), variables) is None


@pytest.mark.parametrize(
    "variables",
    [
        ON,
        {"OTEL_TRACES_EXPORTER": "OTLP"},
        {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"},
        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"},
        ON | {"OTEL_SDK_DISABLED": "false", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        # For metrics and logs, which nobody exports here.
        ON | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
    ],
)
def test_on(variables: dict[str, str]) -> None:
    assert wanted_sampling(variables) == ALL


@pytest.mark.parametrize(
    ("sampler", "argument", "sampling"),
    [
        ("always_on", "0.5", (False, 1.0)),
        ("always_off", "", (False, 0.0)),
        ("traceidratio", "0.25", (False, 0.25)),
        ("traceidratio", "", (False, 1.0)),
        ("parentbased_always_on", "", (True, 1.0)),
        ("parentbased_always_off", "", (True, 0.0)),
        ("ParentBased_TraceIdRatio", "1e-2", (True, 0.01)),
        ("parentbased_traceidratio", "0", (True, 0.0)),
    ],
)
def test_samplers(sampler: str, argument: str, sampling: tuple[bool, float]) -> None:
    variables = ON | {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert wanted_sampling(variables) == sampling


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin', allowed: otlp or none"),
        (
            ON | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', allowed: http/protobuf, "
            "which collectors listen for on port 4318",
        ),
        (
            ON | {"OTEL_TRACES_SAMPLER": "traceidratoi"},
            "OTEL_TRACES_SAMPLER is 'traceidratoi', allowed: always_on, always_off, traceidratio, or one of "
            "them with parentbased_ before it",
        ),
        *(
            (
                ON | {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": given},
                f"OTEL_TRACES_SAMPLER_ARG is '{given}', allowed: a number from 0 to 1, such as 0.01",
            )
            for given in ("1%", "2", "-0.1", "nan", "1e400")
        ),
    ],
)
def test_bad_values(variables: dict[str, str], complaint: str) -> None:
    with pytest.raises(SettingsError) as error:
        wanted_sampling(variables)
    assert str(error.value) == complaint


def test_a_queue_that_the_sdk_refuses() -> None:
    """The SDK reads these of the process."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
        with pytest.raises(SettingsError, match="OTEL_BSP_MAX_QUEUE_SIZE and its like do not go together: "):
            start_tracing(Settings(), ON)


@pytest.mark.parametrize("workers", [1, 2])
def test_without_the_packages_it_is_said_how_to_get_them(workers: int) -> None:
    ended = run_without("opentelemetry", PORT=0, ADMIN_PORT=0, WORKERS=workers, **ON)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "visits: OTEL_TRACES_EXPORTER or an OTLP endpoint asks for traces, which needs OpenTelemetry, and "
        "that is not installed; install it with `pip install --require-hashes -r requirements-tracing.txt`, "
        "or set OTEL_TRACES_EXPORTER to none\n"
    )
    assert "\nopentelemetry-sdk==" in (ROOT / "requirements-tracing.txt").read_text()
