"""The loopback HTTP door: ingest, health, metrics and status.

``POST /v1/records/<dataset>`` takes a JSON array of records in the contract's field names and is
answered after fsync. ``GET /health`` (alive), ``/ready`` (can acknowledge and polls), ``/metrics``
(Prometheus), ``/status`` (JSON).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emdata.contracts.base import Record
from emdata.errors import EmdataError
from stream_manager.manager import StreamManager
from stream_manager.session import PollSession

MAX_BODY = 16 << 20
Status = Callable[[], dict[str, Any]]


class IngestApp:
    """The routes; ``token`` guards what writes."""

    def __init__(
        self,
        manager: StreamManager,
        records: Mapping[str, type[Record]],
        token: str,
        status: Status,
    ) -> None:
        self._manager, self._records = manager, records
        self._token, self._status = token, status

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/ready", self._ready),
                Route("/metrics", self._metrics),
                Route("/status", self._status_page),
                Route("/v1/records/{dataset}", self._ingest, methods=["POST"]),
            ]
        )

    async def _health(self, _request: Request) -> Response:
        ready = self._manager.intake.is_ready()
        return JSONResponse({"status": "ok" if ready else "degraded"}, 200 if ready else 503)

    async def _ready(self, _request: Request) -> Response:
        ready = self._manager.intake.is_ready() and self._manager.is_loaded()
        return JSONResponse({"is_ready": ready}, 200 if ready else 503)

    async def _metrics(self, _request: Request) -> Response:
        self._manager.intake.export_metrics()
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def _status_page(self, _request: Request) -> Response:
        return JSONResponse(self._status())

    async def _ingest(self, request: Request) -> Response:
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            return problem(401, "unauthorized", "a valid bearer token is required")
        name = request.path_params["dataset"]
        record = self._records.get(name)
        if record is None:
            known = ", ".join(sorted(self._records))
            return problem(404, "unknown dataset", f"{name} is unknown; known: {known}")
        body = await _body(request)
        if body is None:
            return problem(413, "body too large", f"at most {MAX_BODY} bytes a request")
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
        except msgspec.MsgspecError as error:
            return problem(400, "not a JSON array", str(error))
        await self._manager.load_dataset(name)
        session = self._manager.new_session(
            f"ingest-{name}", record.dataset.source, cursor={}, batch_size=1000, compare=False
        )
        return await _take_rows(session, record, rows)


async def _take_rows(
    session: PollSession, record: type[Record], rows: list[msgspec.Raw]
) -> Response:
    rejected = []
    for index, raw in enumerate(rows):
        try:
            value = msgspec.json.decode(raw, type=record)
        except (msgspec.MsgspecError, EmdataError) as error:
            session.row_rejected(bytes(raw), error)
            rejected.append({"index": index, "reason": str(error)})
            continue
        await session.row_parsed([value])
    commit = await session.finish("ok")
    counts = commit.datasets.get(record.dataset.name)
    accepted = 0 if counts is None else counts.accepted
    deferred = 0 if counts is None else counts.deferred
    answer = {
        "poll_id": commit.poll_id,
        "accepted": accepted,
        "deferred": deferred,
        "rejected": rejected,
    }
    return JSONResponse(answer, 503 if deferred else 200)


async def _body(request: Request) -> bytes | None:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def problem(status: int, title: str, detail: str) -> Response:
    """Return an RFC 9457 problem document."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, media_type="application/problem+json")
