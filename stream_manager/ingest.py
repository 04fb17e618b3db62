"""The loopback HTTP door: ingest, health, metrics and status.

``POST /v1/records/<dataset>`` takes a JSON array of records in the contract's field names and is
answered after fsync: 200, or 503 when some records were deferred. Each sender has a key of its own
(``emdata push add``), limited to its datasets; the token is for the platform's own processes.
``GET /health`` (alive), ``/ready`` (can acknowledge and polls), ``/metrics`` (Prometheus),
``/status`` (JSON).
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from emdata.commits import Commit, DatasetCounts
from emdata.contracts.base import Record
from emdata.errors import BufferUnavailable, SettingError
from emdata.push_keys import PushKey, PushKeys
from emdata.telemetry import get_logger
from stream_manager.control.tenants import PUBLIC
from stream_manager.manager import StreamManager
from stream_manager.polls.prepared import Keys
from stream_manager.polls.session import PollSession

log = get_logger(__name__)
MAX_BODY = 16 << 20
PATIENCE = 5.0  # seconds a client waits for a commit, or for sequence numbers, before its 503
Status = Callable[[], dict[str, Any]]


class IngestApp:
    """The routes; what writes asks for the platform's ``token`` or a sender's own key."""

    def __init__(
        self,
        manager: StreamManager,
        records: Mapping[str, type[Record]],
        token: str,
        status: Status,
        push_keys: PushKeys | None = None,
    ) -> None:
        self._manager, self._records = manager, records
        self._token, self._status, self._push_keys = token, status, push_keys
        self._finishing: set[asyncio.Task[Commit]] = set()

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
        sender = self._sender(given)
        if sender is None and not self._is_ours(given):
            return problem(401, "unauthorized", "a valid bearer token is required")
        name = request.path_params["dataset"]
        if sender is not None and not sender.may_write(name):
            allowed = ", ".join(sender.datasets)
            return problem(403, "forbidden", f"{sender.name} may push: {allowed}")
        record = self._records.get(name)
        if record is None:
            known = ", ".join(sorted(self._records))
            return problem(404, "unknown dataset", f"{name} is unknown; known: {known}")
        body = await _body(request)
        if body is None:
            return problem(413, "body too large", f"at most {MAX_BODY} bytes a request")
        try:
            rows = msgspec.json.decode(body, type=list[msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError) as error:
            return problem(400, "not a JSON array", str(error))
        try:
            await asyncio.wait_for(self._manager.be_certain_of_numbers(), PATIENCE)
        except TimeoutError:
            detail = "sequence numbers wait for PostgreSQL after damage to the buffer"
            return problem(503, "not ready", detail)
        tenant = PUBLIC if sender is None else sender.tenant
        self._manager.control.tenants.add(tenant)
        session = self._manager.new_session(
            f"ingest-{name}" if sender is None else f"push-{sender.name}",
            record.dataset.source,
            cursor={},
            batch_size=1000,
            keys=Keys.REMEMBERED,
            tenant=tenant,
        )
        return await self._take_rows(session, record, rows)

    def _is_ours(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode())

    def _sender(self, given: str) -> PushKey | None:
        scheme, _, token = given.partition(" ")
        if self._push_keys is None or scheme != "Bearer" or not token:
            return None
        try:
            return self._push_keys.of_token(token)
        except (SettingError, OSError) as error:
            log.warning("push_keys_unreadable", error=str(error))
            return None

    async def _take_rows(
        self, session: PollSession, record: type[Record], rows: list[msgspec.Raw]
    ) -> Response:
        rejected: list[tuple[int, str]] = []
        failure: BufferUnavailable | None = None
        try:
            await session.rows_encoded(record, rows, rejected)
        except BufferUnavailable as error:
            failure = error
        outcome = "ok" if failure is None else "failed"
        ending = asyncio.create_task(session.finish(outcome, error=failure))
        self._finishing.add(ending)
        ending.add_done_callback(self._finishing.discard)
        done, _ = await asyncio.wait({ending}, timeout=PATIENCE)
        if not done:
            return problem(503, "buffer unavailable", "nothing was acknowledged; send it again")
        commit = ending.result()
        counts = commit.datasets.get(record.dataset.name) or DatasetCounts()
        answer = {
            "poll_id": commit.poll_id,
            "accepted": counts.accepted,
            "deferred": counts.deferred,
            "rejected": [{"index": index, "reason": reason} for index, reason in rejected],
        }
        return JSONResponse(answer, 503 if counts.deferred or failure is not None else 200)


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
