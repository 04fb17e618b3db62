"""The writer of entries: in groups, none lost, and whoever waits is told."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from api.audit import log as module
from api.audit.log import AuditLog
from emdata.clock import ManualClock
from emdata.errors import StateUnavailable
from emdata.state.audit_chain import GENESIS, Entry, Tail


class Anchors:
    """Keeps what was anchored."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.is_away = False

    def put(self, tail: Tail, **_: Any) -> None:
        if self.is_away:
            raise StateUnavailable("away")
        self.seqs.append(tail.seq)


class Chain:
    """Takes the place of ``record``; holds the writer while ``hold`` is set."""

    def __init__(self) -> None:
        self.groups: list[list[Entry]] = []
        self.is_away = False
        self.free = threading.Event()
        self.free.set()

    def record(self, _engine: Any, entries: list[Entry], **_: Any) -> Tail:
        self.free.wait(10)
        if self.is_away:
            raise StateUnavailable("away")
        self.groups.append(list(entries))
        return Tail(sum(map(len, self.groups)), GENESIS)


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    made = Chain()
    monkeypatch.setattr(module, "record", made.record)
    monkeypatch.setattr(module, "REFUSALS_SECONDS", 0.01)
    return made


def audit(anchors: Anchors) -> AuditLog:
    return AuditLog(None, anchors, ManualClock(), key=b"k", process="p")  # type: ignore[arg-type]


def entry(number: int) -> Entry:
    return Entry("a", "data.read", str(number))


async def test_entries_that_come_while_others_are_written_go_together(chain: Chain) -> None:
    anchors = Anchors()
    log = audit(anchors)
    chain.free.clear()
    first = asyncio.ensure_future(log.note(entry(0)))
    while log._waiting or log._writer is None:
        await asyncio.sleep(0)
    others = [asyncio.ensure_future(log.note(entry(number))) for number in range(1, 50)]
    await asyncio.sleep(0)
    chain.free.set()
    await asyncio.gather(first, *others)
    assert [len(group) for group in chain.groups] == [1, 49]
    assert anchors.seqs == [1, 50]


async def test_everybody_who_waits_is_told_when_it_cannot_be_written(chain: Chain) -> None:
    log = audit(Anchors())
    chain.is_away = True
    told = await asyncio.gather(*(log.note(entry(n)) for n in range(5)), return_exceptions=True)
    assert [type(one) for one in told] == [StateUnavailable] * 5
    chain.is_away = False
    await log.note(entry(9))
    assert [one.subject for group in chain.groups for one in group] == ["9"]


async def test_an_entry_without_its_anchor_lets_nothing_out(chain: Chain) -> None:
    anchors = Anchors()
    log = audit(anchors)
    anchors.is_away = True
    with pytest.raises(StateUnavailable):
        await log.note(entry(1))
    anchors.is_away = False
    await log.note(entry(2))
    assert anchors.seqs == [2]  # covers both


async def test_a_client_that_leaves_does_not_take_its_entry_along(chain: Chain) -> None:
    log = audit(Anchors())
    chain.free.clear()
    waiting = asyncio.ensure_future(log.note(entry(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    chain.free.set()
    await log.close()
    assert [one.subject for group in chain.groups for one in group] == ["1"]


async def test_anchors_never_go_back(chain: Chain) -> None:
    anchors = Anchors()
    log = audit(anchors)
    log.anchor(Tail(7, GENESIS))
    log.anchor(Tail(5, GENESIS))
    anchors.is_away = True
    log.anchor(Tail(8, GENESIS))  # the change is there; the next anchor covers it
    anchors.is_away = False
    log.anchor(Tail(9, GENESIS))
    assert anchors.seqs == [7, 9]


async def test_refusals_are_counted_and_written_together_also_at_the_end(chain: Chain) -> None:
    log = audit(Anchors())
    for _ in range(1000):
        log.refused("credentials")
    chain.is_away = True
    await log.close()
    assert chain.groups == []
    chain.is_away = False
    log.refused("credentials")
    await log.close()
    (group,) = chain.groups
    assert [(one.act, dict(one.details["reasons"])) for one in group] == [
        ("request.refused", {"credentials": 1001})
    ]
