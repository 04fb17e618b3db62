"""The ASGI application: hosts under ``/<HOST>/``, administration under ``/_simulator/``."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emdata.clock import Clock
from simulator.admin import Admin
from simulator.answers import Answer, Defect, Fact, SourceRequest, to_json
from simulator.delivery import Delivery
from simulator.faults import FaultRequest, Faults, failure
from simulator.instants import http_date, iso_utc
from simulator.ledger import Ledger
from simulator.world import World


def create_app(world: World, ledger: Ledger, clock: Clock) -> ASGIApp:
    """Return the application; ``clock`` is the real one, for the ledger and for faults."""
    faults = Faults()
    admin = Admin(world, ledger, faults)
    hosts = _Hosts(world, ledger, faults, clock)
    routes = [*admin.routes(), Route("/{path:path}", hosts.serve, methods=["GET"])]
    return _Marked(Starlette(routes=routes), world)


class _Hosts:
    """Answers as the simulated hosts do, spoiled by the faults in force."""

    def __init__(self, world: World, ledger: Ledger, faults: Faults, clock: Clock) -> None:
        self._world, self._ledger, self._faults, self._clock = world, ledger, faults, clock

    async def serve(self, request: Request) -> Delivery:
        """Serve one request to ``/<HOST>/<path>``."""
        path = request.url.path
        _, host, *rest = path.split("/")
        asked = SourceRequest(
            path="/" + "/".join(rest),
            query=parse_qsl(request.url.query, keep_blank_values=True),
            headers=request.headers,
            now=self._world.clock.now(),
            raw_query=request.url.query,
        )
        fault = self._faults.strike(path, self._clock.now().timestamp())
        answer = failure(fault, asked.now) if fault else None
        if answer is None:
            answer = self._world.answer(host, asked, _defect(fault)) or self._missing(path)
        spoiled = fault is not None and fault.kind not in ("slow", "malformed_row", "drift")
        facts: Sequence[Fact] = () if spoiled or answer.status != 200 else answer.facts
        if not facts or request.method == "HEAD":
            return Delivery(answer, fault, lambda: None)
        served = self._ledger.serve(facts, self._real(), iso_utc(asked.now))
        return Delivery(answer, fault, lambda: self._ledger.acknowledge(served, self._real()))

    def _missing(self, path: str) -> Answer:
        exists = {
            f"/{host}": [path for source in sources for path in source.paths]
            for host, sources in self._world.hosts.items()
        }
        body = {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": f"The simulator serves nothing at {path}",
            "exists": exists,
        }
        return Answer(to_json(body), "application/problem+json", 404)

    def _real(self) -> str:
        return iso_utc(self._clock.now().timestamp())


def _defect(fault: FaultRequest | None) -> Defect | None:
    defects: dict[str, Defect] = {"malformed_row": "malformed_row", "drift": "drift"}
    return None if fault is None else defects.get(fault.kind)


class _Marked:
    """Marks every answer as simulated and dates it by simulated time, the source's own clock."""

    def __init__(self, app: ASGIApp, world: World) -> None:
        self._app, self._world = app, world

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the headers to whatever the application answers."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = http_date(self._world.clock.now()).encode()
                added = [(b"x-emdata-simulated", b"true"), (b"date", date)]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        await self._app(scope, receive, marked)
