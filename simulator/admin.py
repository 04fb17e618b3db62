"""Administration under ``/_simulator/``, and the page at ``/``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from simulator.answers import MutationError, to_json
from simulator.faults import Faults
from simulator.ledger import Ledger
from simulator.page import front_page
from simulator.world import World


class ClockRequest(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of ``POST /_simulator/clock``."""

    advance_seconds: float = 0.0
    speed: float | None = None
    freeze: bool | None = None


class Admin:
    """Handlers that look into the world and change it."""

    def __init__(self, world: World, ledger: Ledger, faults: Faults) -> None:
        self._world, self._ledger, self._faults = world, ledger, faults

    def routes(self) -> list[Route]:
        """Return the routes of the administration."""
        return [
            Route("/", self._page, methods=["GET"]),
            Route("/_simulator/health", self._health, methods=["GET"]),
            Route("/_simulator/ledger", self._summary, methods=["GET"]),
            Route("/_simulator/ledger/{dataset}", self._versions, methods=["GET"]),
            Route("/_simulator/clock", self._clock, methods=["GET", "POST"]),
            Route("/_simulator/mutations", self._mutations, methods=["POST"]),
            Route("/_simulator/faults", self._all_faults, methods=["GET", "POST", "DELETE"]),
            Route("/_simulator/faults/{number:int}", self._one_fault, methods=["DELETE"]),
        ]

    async def _page(self, request: Request) -> Response:
        return HTMLResponse(front_page(self._world, self._ledger))

    async def _health(self, request: Request) -> Response:
        hosts = sorted(self._world.hosts)
        clock = self._world.clock.describe()
        return _json({"status": "ok", "simulated": True, "hosts": hosts, "clock": clock})

    async def _summary(self, request: Request) -> Response:
        return _json({"clock": self._world.clock.describe(), "datasets": self._ledger.summary()})

    async def _versions(self, request: Request) -> Response:
        async def lines() -> AsyncIterator[bytes]:
            for line in self._ledger.versions(request.path_params["dataset"]):
                yield line

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def _clock(self, request: Request) -> Response:
        if request.method == "POST":
            body = await request.body()
            return _checked(lambda: self._change_clock(body))
        return _json(self._world.clock.describe())

    def _change_clock(self, body: bytes) -> object:
        asked = msgspec.json.decode(body, type=ClockRequest)
        self._world.clock.change(
            advance_seconds=asked.advance_seconds, speed=asked.speed, freeze=asked.freeze
        )
        return self._world.clock.describe()

    async def _mutations(self, request: Request) -> Response:
        body = await request.body()
        return _checked(
            lambda: self._world.mutate(msgspec.json.decode(body, type=dict[str, object]))
        )

    async def _all_faults(self, request: Request) -> Response:
        if request.method == "POST":
            body = await request.body()
            return _checked(lambda: self._faults.add(body).describe())
        if request.method == "DELETE":
            return _json({"removed": self._faults.remove()})
        return _json(self._faults.describe())

    async def _one_fault(self, request: Request) -> Response:
        removed = self._faults.remove(request.path_params["number"])
        return _json({"removed": removed}, 200 if removed else 404)


def _json(content: object, status: int = 200) -> Response:
    return Response(to_json(content), status, media_type="application/json")


def _checked(act: Callable[[], object]) -> Response:
    """Run an action; what it refuses becomes a 400 that says why."""
    try:
        return _json(act())
    except (msgspec.DecodeError, MutationError, ValueError) as error:
        problem = {"type": "about:blank", "title": "Bad Request", "status": 400}
        return Response(
            to_json({**problem, "detail": str(error)}), 400, media_type="application/problem+json"
        )
