"""A small application behind the API's own door, as a process; prints its port when it listens.

Arguments: connections, header bytes, seconds for a head, for a stalled reader, body bytes, seconds
for a body.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware

from api.problems import add_handlers
from api.serving.connections import LIMITS, ConnectionLimits, raise_files
from api.serving.protocol import GuardedProtocol
from api.serving.sizes import Sizes

LARGE = b"x" * (64 << 20)


def main() -> None:
    connections, header_bytes, head, stall, body_bytes, body = map(float, sys.argv[1:])
    limits = ConnectionLimits(int(connections), int(header_bytes), 100, head, stall)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        raise_files()
        print(port, flush=True)
        yield {LIMITS: limits}

    sizes = Middleware(Sizes, body_bytes=int(body_bytes), body_seconds=body)
    app = FastAPI(lifespan=lifespan, middleware=[sizes])
    add_handlers(app)

    @app.get("/")
    async def here() -> dict[str, str]:
        return {"is": "here"}

    @app.get("/large")
    async def large() -> Response:
        return Response(LARGE)

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, int]:
        return {"length": len(await request.body())}

    @app.post("/json")
    async def read(body: dict[str, Any]) -> dict[str, int]:
        return {"keys": len(body)}

    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app, http=GuardedProtocol, log_level="error", timeout_keep_alive=5, backlog=4096
    )
    uvicorn.Server(config).run([listener])


main()
