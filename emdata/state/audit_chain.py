"""The audit chain: each entry's hash covers the entry before it, keyed by what the table lacks.

``append`` runs in its caller's transaction, so a change and its entry are there together or not at
all. The hash is HMAC-SHA-256 with AUDIT_KEY from the credentials: whoever may write the table, but
does not have the key, can neither forge nor repair an entry. A cut tail is still a whole chain; it
is seen by comparison with anchors that are kept elsewhere (``emdata.audit_anchors``).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from emdata.contracts.identity import utc_text
from emdata.state.access_tables import audit_chain
from emdata.state.database import transaction

_LOCK = 7_263_003  # one writer at a time
GENESIS = hashlib.sha256(b"emdata audit chain").digest()
LONGEST = 300
"""Characters that an actor, act or subject keeps."""
_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Entry:
    """One act: who did what to what. ``details`` are JSON; no secrets belong there."""

    actor: str
    act: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tail:
    """The last entry of a chain; seq 0 of an empty one."""

    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """An entry as it is kept."""

    seq: int
    at: datetime
    actor: str
    act: str
    subject: str
    details: str
    prev_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """The first entry that is not as it was written, and what is wrong with it."""

    seq: int
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verification found: how many entries were read, the tail, the first fault."""

    entries: int
    tail: Tail
    fault: Fault | None


def append(connection: Connection, entries: Iterable[Entry], *, now: datetime, key: bytes) -> Tail:
    """Append entries within the caller's transaction; returns the new tail.

    Other writers wait until that transaction ends. When the clock is behind the last entry, the
    entry gets that one's time and says by how much.
    """
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    last = connection.execute(
        sa.select(audit_chain.c.seq, audit_chain.c.hash, audit_chain.c.at)
        .order_by(audit_chain.c.seq.desc())
        .limit(1)
    ).one_or_none()
    seq, hashed = (0, GENESIS) if last is None else (int(last.seq), bytes(last.hash))
    at, behind = now, 0.0
    if last is not None and now < last.at:
        at, behind = last.at, (last.at - now).total_seconds()
    rows = []
    for entry in entries:
        seq += 1
        details = {**entry.details, "clock_behind_s": behind} if behind else entry.details
        texts = [_line(entry.actor), _line(entry.act), _line(entry.subject), _json(details)]
        prev, hashed = hashed, _hash(key, hashed, seq, at, texts)
        rows.append(
            {
                "seq": seq, "at": at, "actor": texts[0], "act": texts[1], "subject": texts[2],
                "details": texts[3], "prev_hash": prev, "hash": hashed,
            }
        )  # fmt: skip
    if rows:
        connection.execute(audit_chain.insert(), rows)
    return Tail(seq, hashed)


def record(engine: Engine, entries: Iterable[Entry], *, now: datetime, key: bytes) -> Tail:
    """Append entries in a transaction of their own. Raises StateUnavailable."""
    with transaction(engine) as connection:
        return append(connection, entries, now=now, key=key)


def verify(engine: Engine, key: bytes, anchors: Sequence[Tail] = ()) -> Verdict:
    """Read the whole chain and compare it with the anchors; stops at the first bad entry.

    Raises StateUnavailable.
    """
    return judge(_stored(engine), key, anchors)


def judge(entries: Iterable[Stored], key: bytes, anchors: Sequence[Tail] = ()) -> Verdict:
    """Judge entries in the order of their numbers."""
    expected = {anchor.seq: anchor.hash for anchor in anchors}
    tail, at, count = Tail(0, GENESIS), None, 0
    for one in entries:
        what = _wrong(one, tail, at, key) or _unlike(one, expected)
        if what is not None:
            return Verdict(count, tail, Fault(one.seq, what))
        tail, at, count = Tail(one.seq, one.hash), one.at, count + 1
    beyond = max(expected, default=0)
    if beyond > tail.seq:
        what = f"the chain ends at {tail.seq}, but an anchor saw entry {beyond}: the tail was cut"
        return Verdict(count, tail, Fault(tail.seq + 1, what))
    return Verdict(count, tail, None)


def entries_before(engine: Engine, before: int | None, limit: int) -> list[Stored]:
    """Return entries, newest first, from below ``before``. Raises StateUnavailable."""
    query = sa.select(audit_chain).order_by(audit_chain.c.seq.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_chain.c.seq < before)
    with transaction(engine) as connection:
        return [_of(row) for row in connection.execute(query).mappings()]


def _stored(engine: Engine) -> Iterator[Stored]:
    after = -(2**62)
    while True:
        query = (
            sa.select(audit_chain)
            .where(audit_chain.c.seq > after)
            .order_by(audit_chain.c.seq)
            .limit(_BATCH)
        )
        with transaction(engine) as connection:
            rows = [_of(row) for row in connection.execute(query).mappings()]
        yield from rows
        if len(rows) < _BATCH:
            return
        after = rows[-1].seq


def _of(row: Any) -> Stored:
    values = {**row, "prev_hash": bytes(row["prev_hash"]), "hash": bytes(row["hash"])}
    return Stored(**values)


def _wrong(one: Stored, tail: Tail, at: datetime | None, key: bytes) -> str | None:
    if one.seq != tail.seq + 1:
        return f"entry {tail.seq + 1} is missing: this one follows {tail.seq}"
    if one.prev_hash != tail.hash:
        return "it does not follow the entry before it"
    texts = [one.actor, one.act, one.subject, one.details]
    if not hmac.compare_digest(one.hash, _hash(key, one.prev_hash, one.seq, one.at, texts)):
        return "its hash is not that of its content: it was changed, or written without the key"
    if at is not None and one.at < at:
        return f"it is dated {utc_text(one.at)}, before the entry before it"
    return None


def _unlike(one: Stored, expected: Mapping[int, bytes]) -> str | None:
    anchored = expected.get(one.seq)
    if anchored is None or anchored == one.hash:
        return None
    return "its hash is not the one that an anchor saw: the chain was written anew"


def _hash(key: bytes, prev: bytes, seq: int, at: datetime, texts: Sequence[str]) -> bytes:
    content = json.dumps([seq, utc_text(at), *texts]).encode()
    return hmac.new(key, prev + content, hashlib.sha256).digest()


def _line(text: str) -> str:
    """Printable ASCII in one line: what a caller sent can forge no line where it is shown."""
    made = json.dumps(text)[1:-1].replace("\x7f", "\\u007f")
    return made if len(made) <= LONGEST else made[: LONGEST - 3] + "..."


def _json(details: Mapping[str, Any]) -> str:
    return json.dumps(details, sort_keys=True, default=str)
