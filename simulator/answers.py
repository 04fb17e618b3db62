"""What a simulated source says: an ``Answer``, with the facts that the ledger counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec

from simulator.instants import read_http_date

Defect = Literal["malformed_row", "drift"]
"""A fault inside an otherwise good document; the source itself renders it."""

_ENCODER = msgspec.json.Encoder()
_CANONICAL = msgspec.json.Encoder(order="sorted")


def to_json(value: Any) -> bytes:
    """Encode to compact JSON."""
    return _ENCODER.encode(value)


def fingerprint(content: Any) -> str:
    """Return 16 hexadecimal digits over the canonical JSON of a row's content."""
    digest = hashlib.blake2b(_CANONICAL.encode(content), digest_size=8)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Fact:
    """One row as served: its dataset, key, content fingerprint and the values tests recount."""

    dataset: str
    key: str
    fingerprint: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """One request to a simulated host. ``now`` is the simulated instant in seconds."""

    path: str
    query: Sequence[tuple[str, str]]
    headers: Mapping[str, str]
    now: float
    raw_query: str = ""

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return next((value for key, value in self.query if key == name), default)

    def has(self, name: str) -> bool:
        """Tell whether a query parameter was given."""
        return any(key == name for key, _ in self.query)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. ``facts`` are the rows in ``body``; only a complete 200 counts them."""

    body: bytes
    content_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    facts: Sequence[Fact] = ()


class MutationError(ValueError):
    """A mutation that does not exist or cannot be applied; the text says what is allowed."""


class Source(Protocol):
    """One simulated host. Everything it says follows from seed, instant and mutations."""

    @property
    def host(self) -> str:
        """The host name it answers for."""
        ...

    @property
    def name(self) -> str:
        """The name by which mutations choose it."""
        ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Paths that exist, for whoever asks for another."""
        ...

    @property
    def mutations(self) -> tuple[str, ...]:
        """Names of the changes that ``mutate`` knows."""
        ...

    def answer(self, request: SourceRequest, defect: Defect | None) -> Answer | None:
        """Answer a request; None when the path does not exist on this host."""
        ...

    def mutate(self, mutation: str, options: Mapping[str, Any], at: float) -> dict[str, Any]:
        """Change the world at the instant ``at``; return what changed. Raises MutationError."""
        ...


def conditional(request: SourceRequest, answer: Answer) -> Answer:
    """Turn a 200 into a 304 when the request's validators still hold.

    If-None-Match wins over If-Modified-Since (RFC 9110 section 13.2.2).
    """
    if answer.status != 200:
        return answer
    etag, modified = answer.headers.get("ETag"), answer.headers.get("Last-Modified")
    asked_etag = request.headers.get("if-none-match")
    if asked_etag is not None:
        unchanged = etag is not None and etag in [part.strip() for part in asked_etag.split(",")]
    else:
        unchanged = _not_modified_since(request.headers.get("if-modified-since"), modified)
    if not unchanged:
        return answer
    return Answer(b"", answer.content_type, 304, answer.headers)


def _not_modified_since(asked: str | None, modified: str | None) -> bool:
    if asked is None or modified is None:
        return False
    since, changed = read_http_date(asked), read_http_date(modified)
    return since is not None and changed is not None and changed <= since


def etag_of(*parts: bytes) -> str:
    """Return a weak ETag over the parts of a body that are content."""
    digest = hashlib.blake2b(digest_size=10)
    for part in parts:
        digest.update(part)
    return f'W/"{digest.hexdigest()}"'
