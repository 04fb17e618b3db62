"""What the API is compared with: bare handlers, served as the API is, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pymysql
from fastapi import FastAPI
from starlette.responses import FileResponse, Response

from tests.support.ports import free_ports
from tests.support.waiting import wait_for

REPOSITORY = Path(__file__).resolve().parents[3]
_GIVEN = "EMDATA_BENCH_CONTROL"


class Given(msgspec.Struct):
    """What a control serves. queries: a file, a statement a line. mysql: PyMySQL's arguments."""

    body: str
    media_type: str
    queries: str = ""
    mysql: dict[str, Any] = {}
    file: str = ""


@contextmanager
def running_control(given: Given) -> Iterator[str]:
    """A control's address; ended with the block."""
    (port,) = free_ports(1)
    command = [
        *(sys.executable, "-m", "uvicorn", "tests.bench.api.controls:build", "--factory"),
        *("--port", str(port), "--log-level", "warning", "--no-access-log"),
    ]
    environment = {**os.environ, _GIVEN: msgspec.json.encode(given).decode()}
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url), 60, "the control")
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/bytes", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def build() -> FastAPI:
    """The application; uvicorn calls it in the control's process."""
    given = msgspec.json.decode(os.environ[_GIVEN], type=Given)
    body = Path(given.body).read_bytes()
    app = FastAPI()
    held = threading.local()
    queries = Path(given.queries).read_text(encoding="utf-8").splitlines() if given.queries else []

    @app.get("/bytes")
    async def same_bytes() -> Response:
        return Response(body, media_type=given.media_type)

    @app.get("/query")
    def same_query(n: int = 0) -> Response:
        connection = getattr(held, "connection", None)
        if connection is None:
            connection = held.connection = pymysql.connect(**given.mysql, autocommit=True)
        with connection.cursor() as cursor:
            cursor.execute(queries[n])
            rows = cursor.fetchall()
        return Response(msgspec.json.encode(rows), media_type="application/json")

    @app.get("/file")
    async def same_file() -> Response:
        return FileResponse(given.file)

    return app
