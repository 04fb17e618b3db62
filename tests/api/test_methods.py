"""HEAD, OPTIONS and Allow: what download managers, GDAL and curl ask before they read."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from api.formats.compression import Compression
from api.methods import Methods, is_head, without_body
from api.problems import add_handlers
from api.usage.notes import note, notes_of

BODY = b'{"a": "' + b"x" * 5000 + b'"}'


def application() -> FastAPI:
    app = FastAPI(middleware=[Middleware(Methods), Middleware(Compression)])
    add_handlers(app)
    app.state.begun = 0

    @app.get("/things")
    async def things(request: Request) -> Response:
        note(request, rows=3)
        headers = {"ETag": '"1"', "Accept-Ranges": "bytes"}
        return Response(BODY, headers=headers, media_type="application/json")

    @app.post("/things")
    async def add() -> dict[str, int]:
        return {"added": 1}

    @app.get("/things/{key:path}/export")
    async def export(request: Request) -> Response:
        if is_head(request):
            return without_body({"Content-Type": "text/csv"})

        async def pieces() -> AsyncIterator[bytes]:
            app.state.begun += 1
            yield BODY

        return StreamingResponse(pieces(), media_type="text/csv")

    @app.delete("/only/{name}")
    async def remove(name: str) -> dict[str, str]:
        return {"removed": name}

    return app


@pytest.fixture
def app() -> FastAPI:
    return application()


@pytest.fixture
def client(app: FastAPI) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_head_has_the_headers_of_get_and_no_body(client: TestClient, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    whole, head = client.get("/things", headers=headers), client.head("/things", headers=headers)
    assert head.status_code == 200
    assert head.content == b""
    assert head.headers == whole.headers
    assert int(head.headers["content-length"]) > 0


def test_head_begins_no_stream_and_names_no_length_that_it_does_not_know(
    app: FastAPI, client: TestClient
) -> None:
    head = client.head("/things/a/export")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/csv")
    assert "content-length" not in head.headers
    assert app.state.begun == 0
    assert client.get("/things/a/export").content == BODY


async def test_head_counts_no_rows_and_tells_the_route_to_the_layers_around() -> None:
    app = application()
    scope = {
        "type": "http", "method": "HEAD", "path": "/things", "query_string": b"", "headers": [],
        "app": app, "state": {}, "root_path": "", "scheme": "http", "http_version": "1.1",
    }  # fmt: skip
    sent = []

    async def receive() -> dict[str, str]:
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    assert scope["method"] == "HEAD"
    assert scope["route"].path == "/things"
    assert notes_of(scope).rows == 0
    assert b"".join(one.get("body", b"") for one in sent) == b""


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/things", "GET, HEAD, OPTIONS, POST"),
        ("/things/a/b/export", "GET, HEAD, OPTIONS"),
        ("/only/one", "DELETE, OPTIONS"),
    ],
)
def test_options_and_405_name_all_methods_of_a_path(
    client: TestClient, path: str, allowed: str
) -> None:
    options, refused = client.options(path), client.patch(path)
    assert (options.status_code, options.content) == (204, b"")
    assert options.headers["allow"] == allowed
    assert refused.status_code == 405
    assert refused.headers["allow"] == allowed
    assert refused.json()["type"] == "/problems/method-not-allowed"
    assert allowed in refused.json()["detail"]


def test_bytes_that_are_no_text_are_a_body_that_cannot_be_used() -> None:
    app = application()

    @app.post("/read")
    async def read(body: dict[str, int]) -> dict[str, int]:
        return body

    client = TestClient(app, raise_server_exceptions=False)
    headers = {"Content-Type": "application/json"}
    for content in (b"\xff\x00\x01", b"{", b'{"a": "b"}'):
        answer = client.post("/read", content=content, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-body")


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "GET"])
def test_what_is_not_there_is_not_there_for_any_method(client: TestClient, method: str) -> None:
    answer = client.request(method, "/nothing")
    assert answer.status_code == 404
    assert "allow" not in answer.headers


def test_head_on_what_cannot_be_read_is_refused(client: TestClient) -> None:
    head = client.head("/only/one")
    assert head.status_code == 405
    assert head.headers["allow"] == "DELETE, OPTIONS"
