"""Tracing by OpenTelemetry: a span for each request and for each step of its road, sent to a collector by OTLP.

On only where `AMRS_TRACE_ENDPOINT` names one, and this module is imported only then. A caller's W3C `traceparent`
is continued, its decision to sample or not included. Attributes are the method, the route's template and the
status: no listener, no song, nothing said. A collector that is away costs spans, never a request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, time_ns
from typing import Final

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.telemetry.spans import Headers

EXPORT_SECONDS: Final = 2
"""How long the collector may take for one batch; the service waits as long for the last one when it stops."""
BATCH_MILLISECONDS: Final = 1000
_CARRIED: Final = (b"traceparent", b"tracestate")
_W3C: Final = TraceContextTextMapPropagator()


class Tracing:
    """Keeps spans and sends them; open it with `open_tracing`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("amrs")

    @contextmanager
    def request(self, headers: Headers) -> Iterator["TracedRequest"]:
        carried = {name.decode(): value.decode("latin-1") for name, value in headers if name in _CARRIED}
        parent = _W3C.extract(carried, context=context.Context())
        span = self._tracer.start_span("request", context=parent, kind=SpanKind.SERVER)
        token = context.attach(trace.set_span_in_context(span, parent))
        try:
            yield TracedRequest(span)
        finally:
            context.detach(token)
            span.end()

    def step(self, name: str, began: float, ended: float) -> None:
        now, reading = time_ns(), perf_counter()
        span = self._tracer.start_span(name, start_time=now - int((reading - began) * 1e9))
        span.end(now - int((reading - ended) * 1e9))


class TracedRequest:
    """One request's span."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def trace_id(self) -> str:
        return trace.format_trace_id(self._span.get_span_context().trace_id)

    @property
    def traceparent(self) -> str:
        told = self._span.get_span_context()
        return f"00-{self.trace_id}-{trace.format_span_id(told.span_id)}-{told.trace_flags:02x}"

    def answered(self, *, route: str, method: str, status: int) -> None:
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


@contextmanager
def open_tracing(endpoint: str, *, share: float) -> Iterator[Tracing]:
    """Give what keeps spans; what it still holds at the end is sent.

    Args:
        endpoint: the collector's URL for traces, as `http://collector:4318/v1/traces`.
        share: of the requests without a caller's trace that get one, in [0, 1].
    """
    provider = TracerProvider(
        sampler=ParentBased(TraceIdRatioBased(share)),
        resource=Resource.create({"service.name": "amrs"}),
        shutdown_on_exit=False,
    )
    exporter = OTLPSpanExporter(endpoint=endpoint, timeout=EXPORT_SECONDS)
    provider.add_span_processor(
        BatchSpanProcessor(
            exporter,
            schedule_delay_millis=BATCH_MILLISECONDS,
            export_timeout_millis=EXPORT_SECONDS * 1000,
        )
    )
    try:
        yield Tracing(provider)
    finally:
        provider.shutdown()
