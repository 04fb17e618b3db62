"""Keeping answers: bounds, single flights, and whose answer is whose; no server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from api.access.caller import Caller, Policy, anonymous
from api.access.visibility import visible_collection
from api.caching.answers import Answers, is_known
from api.caching.early import EarlyAnswers
from api.caching.flights import Flights
from api.caching.store import OVERHEAD_BYTES, Kept, Store
from api.catalog.catalog import Catalog
from api.catalog.model import Collection, Property
from api.problems import Problem
from api.reading.reader import Address, Reader
from api.reading.versions import DataVersion, Versions
from emdata.clock import ManualClock

PUBLIC = Collection(
    id="reports",
    title="Reports",
    description="",
    table="emergency_data.reports",
    key=("number",),
    properties=(
        Property("number", "integer", ""),
        Property("place", "string", ""),
        Property("phone", "string", "", is_sensitive=True),
        Property("owner", "string", ""),
    ),
    domain="test",
    terms="",
    tenant_column="owner",
)


class _Known(Versions):
    """Versions that a test sets."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(Reader(Address("127.0.0.1", 1, "", ""), 1), (PUBLIC,), clock)
        self.token: str | None = "one"

    def of(self, collection_id: str) -> DataVersion | None:
        """See Versions."""
        return None if self.token is None else DataVersion(self.token)


def _request(query: str = "", caller: Caller | None = None, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": "/collections/reports/items",
        "raw_path": b"/collections/reports/items",
        "query_string": query.encode(),
        "headers": [(b"host", b"api.test"), *raw],
        "server": ("api.test", 80),
        "state": {"caller": caller or anonymous()},
    }
    return Request(scope, _nothing_more)


async def _nothing_more() -> Message:
    await asyncio.Event().wait()
    raise AssertionError("nothing comes")


def _caller(name: str, tenant: str = "", *, is_trusted: bool = False) -> Caller:
    policy = Policy("government", may_see_sensitive=is_trusted)
    tenants = frozenset({tenant} if tenant else ())
    return Caller(name, "government", policy, tenants=tenants)


def _made(body: str, calls: list[str]) -> Callable[[], Awaitable[Response]]:
    async def make() -> Response:
        calls.append(body)
        return Response(body, media_type="text/plain")

    return make


def _answers() -> tuple[Answers, _Known]:
    versions = _Known(ManualClock())
    return Answers(versions, 1 << 20), versions


def _get(answers: Answers, caller: Caller, query: str, calls: list[str], body: str) -> Response:
    request = _request(query, caller)
    seen = visible_collection(Catalog({PUBLIC.id: PUBLIC}), PUBLIC.id, caller)
    return asyncio.run(answers.get(request, caller, seen, _made(body, calls), form="json"))


def test_no_caller_gets_an_answer_that_was_made_for_other_rows_or_columns() -> None:
    answers, _ = _answers()
    callers = {
        "anonymous": anonymous(),
        "of no tenant": _caller("a"),
        "of the county": _caller("b", "county"),
        "of the city": _caller("c", "city"),
        "trusted": _caller("d", is_trusted=True),
        "trusted, of the county": _caller("e", "county", is_trusted=True),
    }
    calls: list[str] = []
    for name, caller in callers.items():
        _get(answers, caller, "", calls, name)
    # Who sees the same of it shares an answer, and nobody else.
    assert calls == [
        "anonymous",
        "of the county",
        "of the city",
        "trusted",
        "trusted, of the county",
    ]
    for name, caller in callers.items():
        found = bytes(_get(answers, caller, "", calls, "made again").body).decode()
        assert found == ("anonymous" if name == "of no tenant" else name)


def test_an_answer_goes_with_its_version_its_query_and_its_format() -> None:
    answers, versions = _answers()
    calls: list[str] = []
    for query in ("a=1&b=2", "b=2&a=1", "a=1", "a=1&a=2", "a=2&a=1"):
        _get(answers, anonymous(), query, calls, query)
    assert calls == ["a=1&b=2", "a=1", "a=1&a=2"]
    versions.token = "two"
    assert _get(answers, anonymous(), "a=1", calls, "new").body == b"new"
    versions.token = None
    # Nothing is answered from memory while the version is unknown, and nothing is kept.
    for number in range(2):
        assert _get(answers, anonymous(), "a=1", calls, str(number)).body == str(number).encode()


def test_only_who_may_keep_an_answer_is_told_so() -> None:
    answers, _ = _answers()
    open_to_all = _get(answers, anonymous(), "", [], "x")
    own = _get(answers, _caller("b", "county"), "", [], "y")
    assert open_to_all.headers["cache-control"] == "public, no-cache"
    assert own.headers["cache-control"] == "private, no-cache"
    assert open_to_all.headers["etag"] != own.headers["etag"]


def test_a_known_etag_costs_no_query() -> None:
    answers, _ = _answers()
    etag = _get(answers, anonymous(), "", [], "x").headers["etag"]
    calls: list[str] = []
    request = _request("", None, if_none_match=etag)
    answer = asyncio.run(
        answers.get(request, anonymous(), PUBLIC_SEEN, _made("x", calls), form="json")
    )
    assert (answer.status_code, answer.body, calls) == (304, b"", [])


PUBLIC_SEEN = visible_collection(Catalog({PUBLIC.id: PUBLIC}), PUBLIC.id, anonymous())


@pytest.mark.parametrize(
    ("given", "known"),
    [
        ('W/"a"', True),
        ('"a"', True),
        ('"b", W/"a"', True),
        ("*", True),
        ('"b"', False),
        ("a", False),
        ("", False),
        (None, False),
    ],
)
def test_etags_are_compared_weakly(given: str | None, known: bool) -> None:
    assert is_known(given, 'W/"a"') is known


def test_errors_are_never_kept() -> None:
    answers, _ = _answers()

    async def failing() -> Response:
        raise Problem("timed-out", "too long")

    async def refused() -> Response:
        return Response("no", 503)

    for make in (failing, refused, failing):
        request = _request()
        work = answers.get(request, anonymous(), PUBLIC_SEEN, make, form="json")
        if make is failing:
            with pytest.raises(Problem):
                asyncio.run(work)
        else:
            assert asyncio.run(work).status_code == 503
    assert answers.store.bytes == 0


def test_equal_work_at_once_is_done_once_and_ends_with_the_last_who_waits() -> None:
    async def run() -> None:
        flights: Flights[int] = Flights()
        calls = 0
        release = asyncio.Event()

        async def make() -> int:
            nonlocal calls
            calls += 1
            await release.wait()
            return calls

        waiting = [asyncio.create_task(flights.do("key", make)) for _ in range(100)]
        await asyncio.sleep(0)
        for one in waiting[:40]:
            one.cancel()
        release.set()
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert [one for one in done if one == 1] == [1] * 60
        assert calls == 1
        release.clear()
        alone = asyncio.create_task(flights.do("key", make))
        await asyncio.sleep(0)
        alone.cancel()
        await asyncio.gather(alone, return_exceptions=True)
        release.set()
        assert await flights.do("key", make) == 3

    asyncio.run(run())


def test_memory_is_bounded_and_what_was_used_last_stays() -> None:
    store = Store(40 * (OVERHEAD_BYTES + 100))
    kept = Kept(token="t", etag=b"", status=200, headers=(), body=b"x" * 100)
    for number in range(40):
        store.put(number, kept)
    assert store.get(0, "t") is kept
    store.put(40, kept)
    assert store.get(0, "t") is kept
    assert store.get(1, "t") is None
    store.put("large", replace(kept, body=b"x" * 20_000))
    assert store.get("large", "t") is None
    assert store.get(40, "other version") is None
    assert store.bytes == 39 * kept.size


class _App:
    """Routes that count how often they are asked."""

    def __init__(self, answers: Answers, reads: list[str]) -> None:
        self.answers, self.reads, self.calls = answers, reads, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        caller: Caller = scope["state"]["caller"]
        caller.reads.extend(self.reads)
        self.calls += 1
        made = _made(f"answer {self.calls}", [])
        answer = await self.answers.get(request, caller, PUBLIC_SEEN, made, form="json")
        await answer(scope, receive, send)


async def _ask(layer: EarlyAnswers, request: Request) -> tuple[int, bytes]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await layer(request.scope, _nothing_more, send)
    return sent[0]["status"], b"".join(one.get("body", b"") for one in sent[1:])


def _early(reads: list[str], *requests: Callable[[], Request]) -> tuple[int, list[Any]]:
    async def run() -> tuple[int, list[Any]]:
        answers, _ = _answers()
        app = _App(answers, reads)
        layer = EarlyAnswers(app, answers)
        return app.calls, [await _ask(layer, make()) for make in requests] + [app.calls]

    _, found = asyncio.run(run())
    return found.pop(), found


def test_an_answer_goes_out_again_before_the_routes() -> None:
    calls, found = _early([], *[lambda: _request("a=1")] * 4)
    assert calls == 1
    assert found == [(200, b"answer 1")] * 4


def test_another_caller_header_or_method_is_another_answer_before_the_routes() -> None:
    calls, _ = _early(
        [],
        lambda: _request("a=1"),
        lambda: _request("a=2"),
        lambda: _request("a=1", None, accept="text/csv"),
        lambda: _request("a=1", None, accept_encoding="gzip"),
        lambda: _request("a=1", _caller("b", "county")),
        lambda: _request("a=1", _caller("c")),
        lambda: _request("a=1", anonymous(hidden=frozenset({"other"}))),
    )
    assert calls == 7


def test_what_is_audited_reaches_its_route_every_time() -> None:
    calls, _ = _early(["reports"], *[lambda: _request("", _caller("b", "county"))] * 3)
    assert calls == 3


def test_ranges_and_other_conditions_reach_the_route() -> None:
    calls, _ = _early(
        [],
        _request,
        lambda: _request("", None, range="bytes=0-1"),
        lambda: _request("", None, if_modified_since="Sat, 21 Nov 2026 00:00:00 GMT"),
    )
    assert calls == 3


def test_work_ends_with_the_last_client_who_waits_for_it() -> None:
    async def run() -> None:
        answers, _ = _answers()
        begun, ended = asyncio.Event(), asyncio.Event()

        async def make() -> Response:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            raise AssertionError("it never ends by itself")

        async def ask(leaves: asyncio.Event) -> None:
            async def receive() -> Message:
                await leaves.wait()
                return {"type": "http.disconnect"}

            request = Request(_request().scope, receive)
            with pytest.raises(Problem):
                await answers.get(request, anonymous(), PUBLIC_SEEN, make, form="json")

        first, second = asyncio.Event(), asyncio.Event()
        asked = [asyncio.create_task(ask(one)) for one in (first, second)]
        await begun.wait()
        first.set()
        await asked[0]
        assert not ended.is_set()
        second.set()
        await asked[1]
        await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(run())
