"""The audit chain as a chain: every way to change it is seen, and named by its first bad entry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emdata.audit_anchors import Anchors
from emdata.errors import StateUnavailable
from emdata.objects import open_store
from emdata.state.audit_chain import GENESIS, Stored, Tail, _hash, judge

KEY = b"the key of the chain"
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def chain(length: int, key: bytes = KEY) -> list[Stored]:
    """A whole chain, as ``append`` writes it."""
    made: list[Stored] = []
    prev = GENESIS
    for seq in range(1, length + 1):
        at = START + timedelta(seconds=seq)
        texts = [f"actor {seq}", "data.read", "owned", json.dumps({"n": seq})]
        hashed = _hash(key, prev, seq, at, texts)
        made.append(Stored(seq, at, *texts, prev, hashed))
        prev = hashed
    return made


def sealed(one: Stored, key: bytes = KEY) -> Stored:
    """An entry with the hash of its content, as whoever has the key could write it."""
    texts = [one.actor, one.act, one.subject, one.details]
    return replace(one, hash=_hash(key, one.prev_hash, one.seq, one.at, texts))


def tails(entries: list[Stored]) -> list[Tail]:
    return [Tail(one.seq, one.hash) for one in entries]


def first_bad(entries: list[Stored], anchors: list[Tail]) -> tuple[int, str] | None:
    fault = judge(entries, KEY, anchors).fault
    return None if fault is None else (fault.seq, fault.what)


def test_a_whole_chain_is_whole() -> None:
    entries = chain(10)
    verdict = judge(entries, KEY, tails(entries)[::3])
    assert (verdict.fault, verdict.entries, verdict.tail.seq) == (None, 10, 10)
    assert judge([], KEY).tail == Tail(0, GENESIS)


def forged_without_the_key(entries: list[Stored]) -> list[Stored]:
    """An entry behind the last one, hashed by all that the table shows."""
    last = entries[-1]
    new = replace(last, seq=last.seq + 1, actor="forger", prev_hash=last.hash)
    return [*entries, replace(new, hash=hashlib.sha256(repr(new).encode()).digest())]


Changed = Callable[[list[Stored]], list[Stored]]
CHANGES: dict[str, tuple[Changed, int, str]] = {
    "edit": (
        lambda c: [*c[:4], replace(c[4], actor="somebody else"), *c[5:]], 5, "was changed",
    ),
    "edit of the time": (
        lambda c: [*c[:4], replace(c[4], at=c[4].at + timedelta(seconds=1)), *c[5:]], 5, "changed",
    ),
    "edit with a hash made anew": (
        lambda c: [*c[:4], sealed(replace(c[4], actor="else"), b"not the key"), *c[5:]], 5, "key",
    ),
    "delete": (lambda c: [*c[:4], *c[5:]], 6, "entry 5 is missing"),
    "delete of the first": (lambda c: c[1:], 2, "entry 1 is missing"),
    "reorder": (
        lambda c: [*c[:4], replace(c[5], seq=5), replace(c[4], seq=6), *c[6:]], 5, "follow",
    ),
    "forged insert in the middle": (
        lambda c: [*c[:4], replace(c[4], actor="forger"), *c[4:]], 5, "changed",
    ),
    "forged insert at the end": (forged_without_the_key, 11, "without the key"),
    "clock back": (
        lambda c: [*c[:9], sealed(replace(c[9], at=START - timedelta(days=1)))], 10, "dated",
    ),
    "cut tail": (lambda c: c[:7], 8, "the tail was cut"),
    "all cut": (lambda _: [], 1, "the tail was cut"),
    "written anew with the key": (
        lambda c: [*c[:9], sealed(replace(c[9], actor="else"))], 10, "written anew",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", CHANGES)
def test_fault_49_every_change_is_seen_and_its_first_bad_entry_named(what: str) -> None:
    change, seq, said = CHANGES[what]
    entries = chain(10)
    found = first_bad(change(entries), [tails(entries)[-1]])
    assert found is not None
    assert found[0] == seq
    assert said in found[1]


def test_fault_49_a_cut_tail_is_a_whole_chain_without_an_anchor() -> None:
    """Why there are anchors."""
    entries = chain(10)
    assert first_bad(entries[:7], []) is None
    assert first_bad(entries[:7], tails(entries)[8:9]) is not None


@settings(max_examples=30)
@given(
    st.integers(0, 7),
    st.sampled_from(["seq", "at", "actor", "act", "subject", "details", "prev_hash", "hash"]),
    st.integers(1, 255),
)
def test_fault_49_no_field_of_no_entry_can_be_changed(place: int, name: str, by: int) -> None:
    entries = chain(8)
    old = getattr(entries[place], name)
    new = {
        int: lambda: old + by,
        datetime: lambda: old + timedelta(microseconds=by),
        str: lambda: old + chr(by),
        bytes: lambda: bytes([old[0] ^ by]) + old[1:],
    }[type(old)]()
    entries[place] = replace(entries[place], **{name: new})
    found = first_bad(entries, [])
    assert found is not None
    # A changed hash is no longer that of its own content; nothing before it is accused.
    assert found[0] == (new if name == "seq" else place + 1)


def test_anchors_keep_the_last_of_each_minute(tmp_path: Path) -> None:
    anchors, entries = Anchors(open_store(f"file://{tmp_path}")), chain(3)
    for number, tail in enumerate(tails(entries)):
        anchors.put(tail, at=START + timedelta(seconds=29 * number), process="api-1")
    anchors.put(tails(entries)[0], at=START, process="api-2")
    assert sorted(one.seq for one in anchors.all()) == [1, 3]


def test_an_anchor_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    anchors = Anchors(open_store(f"file://{tmp_path}"))
    anchors.put(tails(chain(1))[0], at=START, process="api-1")
    (file,) = tmp_path.rglob("*.json")
    for body in ('{"seq": "x"}', '{"seq": 1, "hash": "no", "at": ""}', ""):
        file.write_text(body)
        with pytest.raises(StateUnavailable, match=r"0900-api-1\.json"):
            anchors.all()
