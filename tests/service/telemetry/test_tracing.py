"""Spans of a request and of its road reach a real collector, continue the caller's trace, and name nobody."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from zlib import MAX_WBITS, decompress

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from models.errors import ConfigError
from service.settings import Settings
from tests.service.homes import home_settings
from tests.service.server import Listener, serving

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOT_SAMPLED = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
LISTENER = "the-listener-nobody-may-read-of"
ROAD = {"remember", "encode", "match", "predict", "guard", "record"}


class Collector(ThreadingHTTPServer):
    """Takes spans over OTLP/HTTP, and decodes them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"


class Taking(BaseHTTPRequestHandler):
    """One export."""

    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = decompress(body, MAX_WBITS | 16)
        exported = ExportTraceServiceRequest.FromString(body)
        self.server.bodies.append(body)
        for resource in exported.resource_spans:
            for scope in resource.scope_spans:
                self.server.spans.extend(scope.spans)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        thread = Thread(target=collector.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield collector
        collector.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path, tiny_repository, furnished_sqlite, redis_url, redis_prefix):
    """Settings of a furnished service that traces to an endpoint."""
    shutil.copyfile(furnished_sqlite, tmp_path / "amrs.sqlite3")

    def settings(**chosen: Any) -> Settings:
        return home_settings(
            tmp_path / "home",
            tiny_repository,
            database_url=f"sqlite:///{tmp_path / 'amrs.sqlite3'}",
            redis_url=redis_url,
            redis_prefix=redis_prefix,
            **chosen,
        )

    return settings


def named(spans: list[Span], ending: str) -> list[Span]:
    return [span for span in spans if span.name.endswith(ending)]


def test_a_request_and_its_road_continue_the_callers_trace(home, collector):
    with serving(home(trace_endpoint=collector.endpoint)) as client:
        listener = Listener(client, LISTENER)
        listener.start(report={"valence": 0.31337, "arousal": 0.73331})
        client.headers["traceparent"] = CALLER
        answer = listener.ask()

    (request,) = named(collector.spans, "/recommendations")
    steps = [span for span in collector.spans if span.parent_span_id == request.span_id]
    assert request.name == "POST /v1/listeners/{listener_id}/sessions/{session_id}/recommendations"
    assert request.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
    assert request.parent_span_id.hex() == "b7ad6b7169203331"
    assert {step.name for step in steps} == ROAD
    assert all(request.start_time_unix_nano <= step.start_time_unix_nano for step in steps)
    assert all(step.end_time_unix_nano <= request.end_time_unix_nano for step in steps)
    told = f"00-0af7651916cd43dd8448eb211c80319c-{request.span_id.hex()}-01"
    assert answer.headers["traceresponse"] == told


def test_no_span_names_a_listener_a_song_or_what_was_said(home, collector):
    with serving(home(trace_endpoint=collector.endpoint)) as client:
        listener = Listener(client, LISTENER, "the-session-nobody-may-read-of")
        listener.start(report={"valence": 0.31337, "arousal": 0.73331})
        song = listener.cycle()

    sent = b"".join(collector.bodies)
    keys = {attribute.key for span in collector.spans for attribute in span.attributes}
    assert keys == {"http.request.method", "http.route", "http.response.status_code"}
    for secret in (LISTENER, "the-session", song["song"]["song_id"], song["recommendation_id"][:20], "0.3133"):
        assert secret.encode() not in sent


def test_a_caller_who_decided_against_it_is_not_traced(home, collector):
    with serving(home(trace_endpoint=collector.endpoint)) as client:
        client.headers["traceparent"] = NOT_SAMPLED
        answer = Listener(client).start()

    assert collector.spans == []
    assert answer.headers["traceresponse"].endswith("-00")


@pytest.mark.parametrize("strange", [b"", b"00-xyz", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01", b"\xff" * 60])
def test_a_trace_that_is_not_one_begins_a_new_one(home, collector, strange):
    with serving(home(trace_endpoint=collector.endpoint)) as client:
        body = {"session_id": "s", "mode": "calm"}
        answer = client.post("/v1/listeners/l/sessions", json=body, headers=[(b"traceparent", strange)])

    assert answer.status_code == 201

    (request,) = named(collector.spans, "/sessions")
    assert request.parent_span_id == b""


def test_a_share_of_none_traces_nobody_who_did_not_ask(home, collector):
    with serving(home(trace_endpoint=collector.endpoint, trace_share=0.0)) as client:
        Listener(client, "unasked").start()
        client.headers["traceparent"] = CALLER
        Listener(client, "asked").start()

    assert len(named(collector.spans, "/sessions")) == 1


def test_a_collector_that_is_away_costs_spans_and_no_request(home):
    with serving(home(trace_endpoint="http://127.0.0.1:1/v1/traces")) as client:
        listener = Listener(client)
        assert listener.start().status_code == 201
        listener.cycle()


def test_nothing_is_imported_unless_it_is_asked_for():
    """redis-py imports OpenTelemetry's SDK wherever that is installed; we import neither it nor the exporter."""
    script = (
        "import sys; from service.app import create_app; from service.settings import Settings; "
        "create_app(Settings()); "
        "print([name for name in sys.modules if 'opentelemetry.exporter' in name or 'tracing' in name])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "[]"


@pytest.mark.parametrize("wrong", ["collector:4318", "grpc://collector:4317"])
def test_an_endpoint_that_is_no_url_is_refused(wrong):
    with pytest.raises(ConfigError, match="trace_endpoint"):
        Settings(trace_endpoint=wrong)
