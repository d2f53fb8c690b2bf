"""Whether traces are wanted, by OpenTelemetry's own variables. If not, nothing of it is imported."""

import importlib.util
import logging
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from app.telemetry.spans import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""Of each pair the first that is set holds."""
HTTP_PROTOBUF = "http/protobuf"
EXPORTER_PACKAGE = "opentelemetry.exporter.otlp.proto.http"
SAMPLERS = ("always_on", "always_off", "traceidratio")
PARENT_BASED = "parentbased_"
QUEUE_SIZE, BATCH_SIZE = "OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
SCHEDULE_DELAY = "OTEL_BSP_SCHEDULE_DELAY"
BATCH_DEFAULTS = {QUEUE_SIZE: 2048, BATCH_SIZE: 512, SCHEDULE_DELAY: 5000}
"""The SDK's."""
RATIO = re.compile(r"[0-9]*\.?[0-9]+([eE]-?[0-9]+)?")


class Sampling(NamedTuple):
    """Which requests have a span."""

    follows_parent: bool
    """What the caller decided about its own part of the trace holds."""
    ratio: float
    """Of the others, or of all."""


def start_tracing(settings: Settings, environ: Mapping[str, str]) -> "Tracing | None":
    """Begin to export spans from this process, if that is wanted. Raises SettingsError."""
    sampling = wanted_sampling(environ)
    if sampling is None:
        return None
    from app.telemetry.spans import Tracing  # noqa: PLC0415 - who traces nothing pays nothing for it

    return Tracing(settings, sampling)


def wanted_sampling(environ: Mapping[str, str]) -> Sampling | None:
    """Return which requests are to be traced, None if there are to be no traces at all. Raises SettingsError.

    OpenTelemetry would export to a collector on this machine unless it is told otherwise. Here it is told by
    OTEL_TRACES_EXPORTER=otlp, or by an endpoint.
    """
    if _value(environ, "OTEL_SDK_DISABLED").lower() == "true":
        return None
    exporter = _value(environ, "OTEL_TRACES_EXPORTER").lower()
    if exporter not in {"", "otlp", "none"}:
        raise _complaint(environ, "OTEL_TRACES_EXPORTER", "otlp or none")
    if exporter == "none" or not (exporter or any(_value(environ, name) for name in ENDPOINTS)):
        return None
    protocol = next((name for name in PROTOCOLS if _value(environ, name)), None)
    if protocol and _value(environ, protocol) != HTTP_PROTOBUF:
        raise _complaint(environ, protocol, f"{HTTP_PROTOBUF}, which collectors listen for on port 4318")
    sampling = _sampling(environ)
    _check_batches(environ)
    if not _is_installed():
        raise SettingsError(
            "OTEL_TRACES_EXPORTER or an OTLP endpoint asks for traces, which needs OpenTelemetry, and that "
            "is not installed; install it with `pip install --require-hashes -r requirements-tracing.txt`, "
            "or set OTEL_TRACES_EXPORTER to none"
        )
    _check_headers(environ)
    return sampling


def _sampling(environ: Mapping[str, str]) -> Sampling:
    """Read the sampler. The SDK would log what it does not understand and trace every request."""
    name = _value(environ, "OTEL_TRACES_SAMPLER").lower() or "parentbased_always_on"
    kind = name.removeprefix(PARENT_BASED)
    if kind not in SAMPLERS:
        allowed = ", ".join(SAMPLERS)
        raise _complaint(
            environ, "OTEL_TRACES_SAMPLER", f"{allowed}, or one of them with {PARENT_BASED} before it"
        )
    ratio = {"always_on": 1.0, "always_off": 0.0}.get(kind)
    if ratio is None:
        given = _value(environ, "OTEL_TRACES_SAMPLER_ARG") or "1"
        if not RATIO.fullmatch(given) or float(given) > 1:
            raise _complaint(environ, "OTEL_TRACES_SAMPLER_ARG", "a number from 0 to 1, such as 0.01")
        ratio = float(given)
    return Sampling(name != kind, ratio)


def _check_batches(environ: Mapping[str, str]) -> None:
    """Refuse what the SDK would only refuse in a worker."""
    queue, batch, delay = (_number(environ, name, default) for name, default in BATCH_DEFAULTS.items())
    complaint = None
    if queue <= 0:
        complaint = "max_queue_size must be a positive integer."
    elif delay <= 0:
        complaint = "schedule_delay_millis must be positive."
    elif batch <= 0:
        complaint = "max_export_batch_size must be a positive integer."
    elif batch > queue:
        complaint = "max_export_batch_size must be less than or equal to max_queue_size."
    if complaint:
        raise SettingsError(f"{QUEUE_SIZE} and its like do not go together: {complaint}")


def _number(environ: Mapping[str, str], name: str, default: int) -> int:
    try:
        return int(environ.get(name, default))
    except ValueError:
        # As the SDK does, with a line in the log.
        return default


def _check_headers(environ: Mapping[str, str]) -> None:
    """Refuse what the SDK would leave out of the headers, and write to the log, be it a token."""
    name = next((name for name in HEADERS if environ.get(name)), None)
    if name is None:
        return
    from opentelemetry.util.re import parse_env_headers  # noqa: PLC0415 - who traces nothing pays nothing for it

    parser_log = logging.getLogger(parse_env_headers.__module__)
    parser_log.disabled = True
    try:
        pairs = [pair for pair in environ[name].split(",") if pair.strip()]
        are_taken = all(parse_env_headers(pair, liberal=True) for pair in pairs)
    finally:
        parser_log.disabled = False
    if not are_taken:
        raise SettingsError(
            f"{name} is (not shown), allowed: name=value pairs with commas between them, each value "
            "percent-encoded, such as authorization=Bearer%20token"
        )


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(EXPORTER_PACKAGE) is not None
    except ModuleNotFoundError:
        # Not even a package that it is in.
        return False


def _value(environ: Mapping[str, str], name: str) -> str:
    """Return a variable's value; an empty one is none, as OpenTelemetry has it."""
    return environ.get(name, "").strip()


def _complaint(environ: Mapping[str, str], name: str, allowed: str) -> SettingsError:
    return SettingsError(f"{name} is '{environ[name]}', allowed: {allowed}")
