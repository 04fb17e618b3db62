"""The gate: nothing that must be in the audit log goes out before it is there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from api.access.caller import PUBLIC_POLICY, Caller, anonymous
from api.access.gate import CHECK_SECONDS, Gate
from api.access.headers import SecurityHeaders
from api.access.identity import refused
from emdata.clock import ManualClock
from emdata.errors import StateUnavailable
from emdata.state.audit_chain import Entry
from tests.api.access.known import scope

Asgi = Callable[[Any, Any, Any], Awaitable[None]]


class Log:
    """An audit log that can be away; ``sent`` is what was sent when an entry was noted."""

    def __init__(self, sent: list[dict[str, Any]]) -> None:
        self.entries: list[Entry] = []
        self.refusals: list[str] = []
        self.is_away = False
        self._sent = sent

    async def note(self, entry: Entry) -> None:
        assert self._sent == [], "the answer began before its entry was kept"
        if self.is_away:
            raise StateUnavailable("away")
        self.entries.append(entry)

    def refused(self, reason: str) -> None:
        self.refusals.append(reason)


class World:
    """A gate around one answer."""

    def __init__(self, caller: Caller | Exception, app: Asgi, *, every: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self.log = Log(self.sent)
        self.clock = ManualClock()
        self.still: bool | None = True

        async def identify(_scope: Any) -> Caller:
            if isinstance(caller, Exception):
                raise caller
            return caller

        async def is_still(_caller: Caller) -> bool:
            if self.still is None:
                raise StateUnavailable("away")
            return self.still

        who = SimpleNamespace(caller=identify, is_still=is_still)
        access = SimpleNamespace(identity=who, audit=self.log, clock=self.clock)
        self.gate = Gate(app, access, is_every_request_audited=every)  # type: ignore[arg-type]

    async def ask(self, asked: dict[str, Any] | None = None) -> int:
        async def send(message: dict[str, Any]) -> None:
            self.sent.append(message)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request"}

        await self.gate(asked or scope(), receive, send)  # type: ignore[arg-type]
        return int(self.sent[0].get("status", 0))

    def body(self) -> Any:
        return msgspec.json.decode(b"".join(one.get("body", b"") for one in self.sent[1:]))


def answering(status: int = 200, *reads: str, steps: list[str] | None = None) -> Asgi:
    async def app(asked: Any, _receive: Any, send: Any) -> None:
        asked["state"]["caller"].reads.extend(reads)
        await send({"type": "http.response.start", "status": status, "headers": []})
        if steps is not None:
            steps.append("went on")
        await send({"type": "http.response.body", "body": b'{"rows": "secret"}'})

    return app


def lab() -> Caller:
    return Caller("lab", "academic", PUBLIC_POLICY, key_id="abc")


async def test_a_read_of_what_is_not_public_is_kept_before_its_answer_begins() -> None:
    world = World(lab(), answering(200, "owned", "owned"))
    asked = scope(query="state=CO&api_key=hidden")
    assert await world.ask(asked) == 200
    (entry,) = world.log.entries
    assert (entry.actor, entry.act, entry.subject) == ("lab/key:abc", "data.read", "owned")
    assert entry.details == {
        "method": "GET", "path": "/collections", "query": "state=CO&api_key=REDACTED",
        "status": 200,
    }  # fmt: skip


async def test_without_the_audit_log_the_answer_is_withheld_and_the_route_is_stopped() -> None:
    steps: list[str] = []
    world = World(lab(), answering(200, "owned", steps=steps))
    world.log.is_away = True
    assert await world.ask() == 503
    assert "audit log" in world.body()["detail"]
    assert b"secret" not in b"".join(one.get("body", b"") for one in world.sent)
    assert steps == []


@pytest.mark.parametrize(("status", "reads"), [(200, ()), (404, ("owned",)), (403, ("owned",))])
async def test_public_reads_and_refused_ones_need_no_entry(
    status: int, reads: tuple[str, ...]
) -> None:
    world = World(lab(), answering(status, *reads))
    world.log.is_away = True
    assert await world.ask() == status


async def test_audit_logging_keeps_every_request_of_a_known_caller() -> None:
    world = World(lab(), answering(404), every=True)
    assert await world.ask() == 404
    assert [(one.act, one.details["status"]) for one in world.log.entries] == [("request", 404)]
    nobody = World(anonymous(), answering(200), every=True)
    assert await nobody.ask() == 200
    assert nobody.log.entries == []
    stranger = World(refused("wrong"), answering(200), every=True)
    assert await stranger.ask() == 401
    assert stranger.log.refusals == ["credentials"]


@pytest.mark.parametrize("who", [lab(), anonymous()])
@pytest.mark.parametrize("still", [False, None])
async def test_fault_39_an_answer_that_lasts_ends_when_its_caller_may_no_longer_have_it(
    who: Caller, still: bool | None
) -> None:
    async def endless(_asked: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(100):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            world.clock.advance(15)  # a stream's heartbeat
            if number == 9:
                world.still = still

    world = World(who, endless)
    await world.ask()
    # It may go on for 10 heartbeats, and for less than a minute after that.
    assert 11 <= len(world.sent) <= 14


async def test_fault_39_a_socket_is_closed_when_its_caller_may_no_longer_have_it() -> None:
    async def endless(_asked: Any, _receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        world.clock.advance(CHECK_SECONDS)
        await send({"type": "websocket.send", "text": "x"})

    world = World(lab(), endless)
    world.still = False
    await world.ask({**scope(), "type": "websocket"})
    assert [one["type"] for one in world.sent] == ["websocket.accept", "websocket.close"]


async def test_an_error_of_the_route_stays_its_own() -> None:
    async def broken(_asked: Any, _receive: Any, _send: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await World(lab(), broken).ask()


async def test_who_cannot_be_judged_is_told_to_come_again() -> None:
    world = World(StateUnavailable("away"), answering(200))
    assert await world.ask() == 503
    assert (b"retry-after", b"5") in world.sent[0]["headers"]


async def test_probes_are_answered_whoever_asks() -> None:
    world = World(StateUnavailable("away"), answering(200))
    assert await world.ask({**scope(), "path": "/health"}) == 200


async def test_a_socket_that_is_refused_gets_the_same_problem() -> None:
    world = World(refused("wrong"), answering(200))
    asked = {**scope(), "type": "websocket", "extensions": {"websocket.http.response": {}}}
    assert await world.ask(asked) == 401
    plain = World(refused("wrong"), answering(200))
    await plain.ask({**scope(), "type": "websocket"})
    assert plain.sent == [{"type": "websocket.close", "code": 1008}]


async def headers_of(
    asked: dict[str, Any], kind: str = "application/json", *, is_https: bool = False
) -> dict[str, str]:
    sent: list[dict[str, Any]] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        own = [(b"content-type", kind.encode()), (b"x-content-type-options", b"own")]
        await send({"type": "http.response.start", "status": 200, "headers": own})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await SecurityHeaders(app, is_https=is_https)(asked, None, send)  # type: ignore[arg-type]
    return {name.decode(): value.decode() for name, value in sent[0]["headers"]}


async def test_every_answer_says_what_a_browser_may_do_with_it() -> None:
    data = await headers_of(scope())
    assert data["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert data["x-content-type-options"] == "own"  # a route's own header wins
    assert "strict-transport-security" not in data
    assert data["vary"] == "Authorization, X-API-Key"
    page = await headers_of(scope(), "text/html; charset=utf-8", is_https=True)
    assert "default-src 'self'" in page["content-security-policy"]
    assert "unsafe" not in page["content-security-policy"]
    assert "strict-transport-security" in page


async def test_any_page_may_read_what_anybody_may_read_and_nothing_else() -> None:
    assert (await headers_of(scope()))["access-control-allow-origin"] == "*"
    for asked in (
        scope(("Authorization", "Bearer x")),
        scope(("X-API-Key", "x")),
        {**scope(), "method": "POST"},
    ):
        assert "access-control-allow-origin" not in await headers_of(asked)
    preflight = await headers_of(
        {
            **scope(("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")),
            "method": "OPTIONS",
        }
    )
    assert preflight["access-control-allow-methods"] == "GET, HEAD, OPTIONS"
    assert "access-control-allow-credentials" not in preflight
    assert "authorization" not in preflight["access-control-allow-headers"].lower()
