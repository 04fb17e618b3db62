"""The alerts part of api.weather.gov.

Source: https://www.weather.gov/documentation/services-web-api and its OpenAPI description.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import msgspec

from simulator.answers import Answer, Defect, Fact, SourceRequest, conditional, etag_of, to_json
from simulator.instants import DAY, http_date, read_iso, utc, with_offset
from simulator.nws.events import Message
from simulator.nws.facts import facts_of
from simulator.nws.features import feature
from simulator.nws.feed import AlertFeed
from simulator.seeds import identifier

_MAX_LIMIT = 500
_KEPT_SECONDS = 7 * DAY
_FILTERS = ("status", "message_type", "event", "code", "area", "zone", "urgency", "severity")
_ACTIVE_PARAMETERS = (*_FILTERS, "certainty", "limit", "cursor")
_HISTORY_PARAMETERS = (*_ACTIVE_PARAMETERS, "start", "end")
_CONTACT = re.compile(r"\(.*\S.*\)|@|://")
_HEAD = to_json(
    [
        "https://geojson.org/geojson-ld/geojson-context.jsonld",
        {
            "@version": "1.1",
            "wx": "https://api.weather.gov/ontology#",
            "@vocab": "https://api.weather.gov/ontology#",
        },
    ]
)


class _Problem(Exception):
    """A request that the API refuses."""

    def __init__(self, status: int, kind: str, title: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.kind, self.title, self.detail = status, kind, title, detail


class NwsSource:
    """api.weather.gov with its two lists of alerts."""

    host: ClassVar[str] = "api.weather.gov"
    name: ClassVar[str] = "nws"
    paths: ClassVar[tuple[str, ...]] = ("/alerts/active", "/alerts")
    mutations: ClassVar[tuple[str, ...]] = (
        "change_one", "edit_one", "cancel", "partial_cancel", "upgrade", "new", "test_message",
    )  # fmt: skip

    def __init__(self, seed: int, active_alerts: int) -> None:
        self._seed = seed
        self._feed = AlertFeed(seed, active_alerts)
        self._mutations = 0
        self._rendered: dict[tuple[str, int], tuple[bytes, list[Fact]]] = {}

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Apply a named change; see ``mutations``."""
        made = self._feed.change(mutation, at, options, self._mutations + 1)
        self._mutations += 1  # only now: a refused one is not logged and must leave no trace
        return {
            "ids": [message.id for message in made],
            "event": made[0].kind.event,
            "references": [old.id for message in made for old in message.references],
        }

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request for a list of alerts; None for any other path."""
        if request.path not in self.paths:
            return None
        try:
            _check_agent(request)
            if request.path == "/alerts/active":
                return conditional(request, self._active(request, defect))
            return conditional(request, self._history(request, defect))
        except _Problem as problem:
            return self._refuse(problem, request)

    def _active(self, request: SourceRequest, defect: Defect | None) -> Answer:
        _check_parameters(request, _ACTIVE_PARAMETERS)
        messages = self._feed.active(request.now)
        return self._collection(request, messages, defect, history=False)

    def _history(self, request: SourceRequest, defect: Defect | None) -> Answer:
        _check_parameters(request, _HISTORY_PARAMETERS)
        start = max(_instant(request, "start", 0.0), request.now - _KEPT_SECONDS)
        end = min(_instant(request, "end", request.now), request.now)
        return self._collection(request, self._feed.between(start, end), defect, history=True)

    def _collection(
        self,
        request: SourceRequest,
        messages: Sequence[Message],
        defect: Defect | None,
        *,
        history: bool,
    ) -> Answer:
        paged = history or request.has("limit")
        limit = _limit(request) if paged else len(messages)
        matching = [m for m in messages if self._matches(m, request)]
        page = _after(matching, request.parameter("cursor"))[:limit]
        rendered = [self._render(message) for message in page]
        texts = [text for text, _ in rendered]
        facts = [fact for _, of_one in rendered for fact in of_one]
        if history:
            texts = [_with_successor(m, t, request.now) for m, t in zip(page, texts, strict=True)]
        if defect is not None and texts:
            texts, facts = _spoil(texts, [of_one for _, of_one in rendered], defect)
        changed = self._feed.changed_at(request.now)
        body = b'{"@context":' + _HEAD + b',"type":"FeatureCollection","features":['
        body += b",".join(texts) + b'],"title":'
        body += to_json("Current watches, warnings, and advisories")
        body += b',"updated":' + to_json(with_offset(changed, 0))
        if paged:
            body += b',"pagination":' + to_json({"next": _next(request, page, limit)})
        headers = {
            "ETag": etag_of(*texts),
            "Last-Modified": http_date(changed),
            "Cache-Control": "public, max-age=30, s-maxage=30",
        }
        return Answer(body + b"}", "application/geo+json", 200, headers, facts)

    def _render(self, message: Message) -> tuple[bytes, list[Fact]]:
        key = (message.id, message.edits)
        if key not in self._rendered:
            if len(self._rendered) > 5_000:
                self._rendered.clear()
            made = feature(message, self._seed)
            self._rendered[key] = (to_json(made), facts_of(made))
        return self._rendered[key]

    def _matches(self, message: Message, request: SourceRequest) -> bool:
        if not any(request.has(name) for name in (*_FILTERS, "certainty")):
            return True
        made = feature(message, self._seed)["properties"]
        plain = {
            "status": made["status"], "message_type": made["messageType"], "event": made["event"],
            "urgency": made["urgency"], "severity": made["severity"],
            "certainty": made["certainty"], "code": made["eventCode"]["SAME"][0],
        }  # fmt: skip
        for name, value in plain.items():
            asked = _words(request, name)
            if asked and value.lower() not in asked:
                return False
        states = _words(request, "area")
        zones = _words(request, "zone")
        codes = [area.ugc.lower() for area in message.areas]
        return (not states or any(code[:2] in states for code in codes)) and (
            not zones or any(code in zones for code in codes)
        )

    def _refuse(self, problem: _Problem, request: SourceRequest) -> Answer:
        number = identifier(self._seed, "problem", request.raw_query, request.now)
        name = f"{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:32]}"
        body = {
            "correlationId": name,
            "type": f"https://api.weather.gov/problems/{problem.kind}",
            "title": problem.title,
            "status": problem.status,
            "detail": problem.detail,
            "instance": f"https://api.weather.gov/requests/{name}",
        }
        return Answer(to_json(body), "application/problem+json", problem.status)


def _check_agent(request: SourceRequest) -> None:
    agent = request.headers.get("user-agent", "")
    if not _CONTACT.search(agent):
        raise _Problem(
            403, "Forbidden", "Forbidden", f"User-Agent {agent!r} names no contact to write to"
        )


def _check_parameters(request: SourceRequest, known: Sequence[str]) -> None:
    for name, _ in request.query:
        if name not in known:
            raise _Problem(
                400, "BadRequest", "Bad Request",
                f'Query parameter "{name}" is not recognized; recognized: {", ".join(known)}',
            )  # fmt: skip


def _words(request: SourceRequest, name: str) -> set[str]:
    return {word.strip().lower() for word in request.parameter(name).split(",") if word.strip()}


def _limit(request: SourceRequest) -> int:
    text = request.parameter("limit") or str(_MAX_LIMIT)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= _MAX_LIMIT):
        raise _Problem(
            400, "BadRequest", "Bad Request", f'Parameter "limit": {text!r} is not 1 to 500'
        )
    return int(text)


def _instant(request: SourceRequest, name: str, default: float) -> float:
    text = request.parameter(name)
    if not text:
        return default
    try:
        return read_iso(text)
    except ValueError:
        raise _Problem(
            400, "BadRequest", "Bad Request", f'Parameter "{name}": {text!r} is no date-time'
        ) from None


def _after(messages: Sequence[Message], cursor: str) -> Sequence[Message]:
    """Return what follows the cursor in the order (sent, id), newest first."""
    if not cursor:
        return messages
    try:
        place = msgspec.json.decode(base64.urlsafe_b64decode(cursor), type=dict[str, Any])
        last = (float(place["t"]), str(place["i"]))
    except (binascii.Error, msgspec.DecodeError, KeyError, TypeError, ValueError):
        raise _Problem(400, "BadRequest", "Bad Request", 'Parameter "cursor" is invalid') from None
    return [message for message in messages if (message.sent, message.id) < last]


def _next(request: SourceRequest, page: Sequence[Message], limit: int) -> str:
    """Return the address of the next page, which is given even when this one is the last."""
    kept = [(name, value) for name, value in request.query if name not in ("cursor", "limit")]
    cursor = request.parameter("cursor")
    if page:
        place = to_json({"t": page[-1].sent, "i": page[-1].id})
        cursor = base64.urlsafe_b64encode(place).decode()
    query = urlencode([*kept, ("limit", str(limit)), ("cursor", cursor)], quote_via=quote)
    return f"https://api.weather.gov{request.path}?{query}"


def _with_successor(message: Message, text: bytes, now: float) -> bytes:
    """Add what only history shows: which message replaced this one, and when."""
    heir = message.replaced_by
    if heir is None or heir.sent > now:
        return text
    hours = message.areas[0].office.hours
    added = to_json({"replacedBy": heir.id, "replacedAt": with_offset(heir.sent, hours)})
    return text[:-2] + b"," + added[1:] + b"}"


def _spoil(
    texts: list[bytes], facts: list[list[Fact]], defect: Defect
) -> tuple[list[bytes], list[Fact]]:
    count = 1 if defect == "malformed_row" else len(texts)
    spoiled = []
    for text in texts[:count]:
        made = msgspec.json.decode(text, type=dict[str, Any])
        sent = made["properties"].pop("sent")
        if defect == "malformed_row":
            made["properties"]["sent"] = f"about {utc(read_iso(sent)):%H} o'clock"
        else:
            made["properties"]["issued"] = sent
        spoiled.append(to_json(made))
    return [*spoiled, *texts[count:]], [fact for of_one in facts[count:] for fact in of_one]
