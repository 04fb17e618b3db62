"""The client of Flink's REST interface, against answers in Flink's shapes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flink_jobs.errors import FlinkRefused, FlinkUnavailable
from flink_jobs.rest import FlinkRest
from tests.support.ports import free_ports

JOB = "a" * 32
STACK = (
    "org.apache.flink.runtime.JobException: Recovery is suppressed\n"
    "\tat org.apache.flink.X.y(X.java:1)\n"
    "Caused by: java.io.IOException: load failed\n"
    "\tat org.apache.flink.X.y(X.java:1)\n"
    "Caused by: java.lang.RuntimeException: table t does not exist\n"
)


def answers(vertex: str = "RUNNING") -> dict[str, Any]:
    return {
        f"/jobs/{JOB}": {
            "state": "RUNNING",
            "vertices": [{"name": "source", "status": "RUNNING"}, {"name": "s", "status": vertex}],
        },
        f"/jobs/{JOB}/checkpoints": {
            "counts": {"completed": 3},
            "latest": {"completed": {"latest_ack_timestamp": 1_700_000_000_000}},
        },
        f"/jobs/{JOB}/exceptions?maxExceptions=1": {
            "exceptionHistory": {"entries": [{"stacktrace": STACK}]}
        },
        "/jobs/overview": {
            "jobs": [
                {"jid": JOB, "name": "windows-alerts", "state": "RESTARTING"},
                {"jid": "b" * 32, "name": "windows-alerts", "state": "CANCELED"},
            ]
        },
        f"/jobs/{JOB}/savepoints/t1": {
            "status": {"id": "COMPLETED"},
            "operation": {"failure-cause": {"stack-trace": STACK}},
        },
    }


@contextmanager
def flink(pages: dict[str, Any], status: int = 200) -> Iterator[FlinkRest]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = pages.get(self.path)
            code = status if found is not None else 404
            body = json.dumps(found if found is not None else {"errors": ["not found"]}).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests are silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with FlinkRest("127.0.0.1", server.server_address[1]) as rest:
            yield rest
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_job_runs_only_when_every_vertex_does() -> None:
    with flink(answers()) as rest:
        assert rest.health(JOB).is_running
    with flink(answers(vertex="SCHEDULED")) as rest:
        health = rest.health(JOB)
    assert health.state == "RUNNING"
    assert not health.is_running


def test_health_names_the_root_cause_and_the_checkpoints() -> None:
    with flink(answers()) as rest:
        health = rest.health(JOB)
    assert health.failure == "java.lang.RuntimeException: table t does not exist"
    assert (health.checkpoints, health.checkpoint_at) == (3, 1_700_000_000_000)


def test_a_job_without_checkpoints_or_failures_is_described_too() -> None:
    pages = answers() | {
        f"/jobs/{JOB}/checkpoints": {"counts": {"completed": 0}, "latest": {"completed": None}},
        f"/jobs/{JOB}/exceptions?maxExceptions=1": {"exceptionHistory": {"entries": []}},
    }
    with flink(pages) as rest:
        health = rest.health(JOB)
    assert (health.checkpoints, health.checkpoint_at, health.failure) == (0, None, "")


def test_a_restarting_job_is_alive_and_a_canceled_one_is_not() -> None:
    with flink(answers()) as rest:
        assert [job.is_alive for job in rest.jobs()] == [True, False]
        assert rest.state("c" * 32) == "NOT_FOUND"


def test_a_failed_savepoint_says_why() -> None:
    with flink(answers()) as rest:
        progress, cause = rest.savepoint(JOB, "t1")
    assert (progress, cause) == ("failed", "java.lang.RuntimeException: table t does not exist")


def test_refusals_are_permanent_and_server_errors_pass() -> None:
    with flink({}) as rest, pytest.raises(FlinkRefused, match="404"):
        rest.jobs()
    with flink(answers(), status=503) as rest, pytest.raises(FlinkUnavailable, match="503"):
        rest.jobs()


def test_a_jobmanager_that_is_away_is_named_with_its_address() -> None:
    (port,) = free_ports(1)
    with (
        FlinkRest("127.0.0.1", port) as rest,
        pytest.raises(FlinkUnavailable, match=f"127.0.0.1:{port}"),
    ):
        rest.jobs()
