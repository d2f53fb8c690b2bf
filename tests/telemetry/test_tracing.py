"""What OpenTelemetry's variables ask for."""

import logging

import pytest
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.settings import Settings, SettingsError
from app.telemetry.tracing import HEADERS, Sampling, start_tracing, wanted_sampling
from tests.service import ROOT, run_to_end, run_without

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


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({}, None),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "10"}, "must be less than or equal to"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": " 10 "}, None),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2049"}, "must be less than or equal to"),
        ({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "0"}, "max_export_batch_size must be"),
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "max_queue_size must be"),
        ({"OTEL_BSP_SCHEDULE_DELAY": "0"}, "schedule_delay_millis must be"),
        # It takes its defaults instead, and says so.
        ({"OTEL_BSP_MAX_QUEUE_SIZE": "many", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": ""}, None),
    ],
)
def test_sizes_are_refused_as_the_sdk_does(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], complaint: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if complaint is None:
        assert wanted_sampling(ON | variables) == ALL
        BatchSpanProcessor(InMemorySpanExporter()).shutdown()  # type: ignore[no-untyped-call]
        return
    with pytest.raises(ValueError, match=complaint) as refused:
        BatchSpanProcessor(InMemorySpanExporter())
    with pytest.raises(SettingsError) as error:
        wanted_sampling(ON | variables)
    assert str(error.value) == f"OTEL_BSP_MAX_QUEUE_SIZE and its like do not go together: {refused.value}"


@pytest.mark.parametrize("workers", [1, 2])
def test_sizes_are_looked_at_before_any_worker_starts(workers: int) -> None:
    ended = run_to_end("app", PORT=0, ADMIN_PORT=0, WORKERS=workers, OTEL_BSP_MAX_QUEUE_SIZE=10, **ON)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "visits: OTEL_BSP_MAX_QUEUE_SIZE and its like do not go together: "
        "max_export_batch_size must be less than or equal to max_queue_size.\n"
    )


@pytest.mark.parametrize(
    "headers",
    [
        "",
        "  ",
        "authorization=Bearer%20token",
        "Authorization=Bearer token",
        "a=1,b=2",
        " a = 1 , b= ,,",
        "a=b==\n",
    ],
)
def test_headers_that_the_sdk_takes(headers: str) -> None:
    for name in HEADERS:
        assert wanted_sampling(ON | {name: headers}) == ALL


@pytest.mark.parametrize(
    "headers",
    [
        "Authorization: Bearer s3cret",
        "s3cret",
        "a=1,s3cret",
        "=s3cret",
        "a=s3cret\nb=2",
        "a=s3cret;b=2",
        "a=s3cr\u00e9t",
    ],
)
@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_the_sdk_leaves_out_are_refused_and_never_shown(
    name: str, headers: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(SettingsError) as error:
        wanted_sampling(ON | {name: headers})
    assert str(error.value) == (
        f"{name} is (not shown), allowed: name=value pairs with commas between them, each value "
        "percent-encoded, such as authorization=Bearer%20token"
    )
    assert caplog.messages == []
    assert not logging.getLogger("opentelemetry.util.re").disabled


def test_of_the_headers_only_those_that_hold_are_looked_at() -> None:
    mine, for_all = HEADERS
    assert wanted_sampling(ON | {mine: "a=1", for_all: "nonsense"}) == ALL


@pytest.mark.parametrize("workers", [1, 2])
def test_a_token_in_headers_gets_into_no_line(workers: int) -> None:
    headers = {"OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Bearer s3cret-token"}
    ended = run_to_end("app", PORT=0, ADMIN_PORT=0, WORKERS=workers, **ON, **headers)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("visits: OTEL_EXPORTER_OTLP_HEADERS is (not shown), allowed: ")
    assert "s3cret" not in ended.stderr


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
