"""The protocol between a deployment and the client that submits."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flink_jobs.errors import ClientFailed, CompileError
from flink_jobs.session import Session
from flink_jobs.submit import serve
from tests.flink.test_decide import LANDING


class FussyPlanner:
    """Answers like the real planner; refuses jobs whose name says so."""

    def compile(self, job: dict[str, Any]) -> dict[str, Any]:
        if job["name"] == "bad":
            raise ValueError("Object 'x' not found")
        return {"event": "compiled", "name": job["name"], "plan": "p"}

    def submit(self, job: dict[str, Any], restore: str | None) -> dict[str, Any]:
        return {"event": "submitted", "name": job["name"], "job_id": restore}


def answers(*requests: dict[str, Any]) -> list[dict[str, Any]]:
    out = io.StringIO()
    lines = io.StringIO("".join(json.dumps(request) + "\n" for request in requests))
    serve(FussyPlanner(), lines, out)  # type: ignore[arg-type]
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_failure_is_answered_and_the_next_request_is_served() -> None:
    failed, fine = answers(
        {"command": "compile", "job": {"name": "bad"}},
        {"command": "submit", "job": {"name": "good"}, "restore": "/chk-1"},
    )
    assert failed == {"event": "failed", "name": "bad", "error": "Object 'x' not found"}
    assert fine["job_id"] == "/chk-1"


def test_an_unknown_command_is_answered_too() -> None:
    (answer,) = answers({"command": "drop", "job": {"name": "j"}})
    assert answer["event"] == "failed"


def client(script: str, tmp_path: Path) -> Session:
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath},
    )
    return Session(process, tmp_path / "client.log")


def test_a_client_that_ends_early_is_named_with_its_log(tmp_path: Path) -> None:
    with (
        client("raise SystemExit(3)", tmp_path) as session,
        pytest.raises(ClientFailed, match=r"client\.log"),
    ):
        session.wait_ready()


def test_a_refused_job_is_a_compile_error_that_says_why(tmp_path: Path) -> None:
    script = (
        "import json, sys\n"
        "print(json.dumps({'event': 'ready'}), flush=True)\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps({'event': 'failed', 'name': 'n', 'error': 'no table t'}), flush=True)"
    )
    with (
        client(script, tmp_path) as session,
        pytest.raises(CompileError, match="landing-bulk does not compile: no table t"),
    ):
        session.compile(LANDING)


def test_closing_ends_the_process(tmp_path: Path) -> None:
    script = 'import sys; print(\'{"event": "ready"}\', flush=True); sys.stdin.read()'
    session = client(script, tmp_path)
    session.wait_ready()
    session.close()
    assert session._process.returncode == 0
