"""The broker killed for 25 seconds, the manager killed meanwhile: nothing lost, nothing twice."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.figures import Figure
from tests.bench.stream.manager import Manager, running_manager
from tests.bench.stream.options import Options
from tests.bench.stream.progress import FOLDER
from tests.bench.stream.servers import Servers
from tests.bench.stream.topics import new_dataset, read, remove_dataset, seq_of
from tests.support.waiting import wait_for

IDS, RATE = 180_000, 4_000.0
AWAY_S, ROUNDS, ROUNDS_LONG = 25.0, 3, 20
NUMBER = re.compile(rb'"number":(\d+)')
# As many as arrive in a quarter of a second: the backlog is gone.
DRAINED = RATE / 4
STATE = FOLDER / "broker_outage.json"


@dataclass(frozen=True)
class Round:
    """What one round gave. ``drained_s``: from the broker's return until the backlog was gone."""

    lost: int
    twice: int
    unsettled: int
    repeated: int
    drained_s: float


def broker_outage(servers: Servers, options: Options) -> list[Figure]:
    """So many rounds at random moments; the long run goes on where it stopped."""
    done = _load() if options.is_long else []
    rounds = ROUNDS_LONG if options.is_long else ROUNDS
    for number in range(len(done), rounds):
        found = _round(servers, random.Random(number))
        done.append(found)
        print(
            f"  round {number + 1}: {found.lost} lost, {found.twice} ids twice, "
            f"{found.unsettled} numbers not settled, {found.repeated} messages repeated, "
            f"drained {found.drained_s:.1f} s after the broker's return",
            flush=True,
        )
        if options.is_long:
            _save(done)
    if options.is_long:
        STATE.unlink()
    return [
        Figure("broker_outage_lost", sum(one.lost for one in done), "records", 0, 0),
        Figure("broker_outage_twice", sum(one.twice for one in done), "records", 0, 0),
        Figure("broker_outage_unsettled", sum(one.unsettled for one in done), "numbers", 0, 0),
        Figure("broker_outage_drained", max(one.drained_s for one in done), "s", None, 15),
    ]


def _round(servers: Servers, moments: random.Random) -> Round:
    dataset = new_dataset(servers)
    stream = f"ids-{dataset}"  # of its own, for the cursor is the stream's
    feed = {"rate": RATE, "count": IDS, "began_ns": time.time_ns()}
    with running_manager(servers) as manager:
        manager.feed("resumable", stream, dataset, batch=500, **feed)
        time.sleep(moments.uniform(2, 8))
        servers.broker.kill()
        down_at = time.monotonic()
        time.sleep(moments.uniform(1, AWAY_S - 5))
        manager.kill()
        manager.start()
        manager.answer()
        manager.feed("resumable", stream, dataset, batch=500, **feed)
        time.sleep(max(0.0, down_at + AWAY_S - time.monotonic()))
        servers.broker.start()
        drained_s = _until_drained(manager)
        manager.ask("wait", IDS / RATE + 300, name=stream)
        manager.ask("drain", 300)
        wait_for(lambda: not manager.ask("usage")["unapplied"], 120, "PostgreSQL to be up to date")
        taken = manager.usage["accepted"][dataset]
    found = _check(servers, dataset, taken, drained_s)
    remove_dataset(servers, dataset)
    return found


def _until_drained(manager: Manager) -> float:
    began = time.monotonic()
    while manager.ask("usage")["waiting"] > DRAINED:
        if time.monotonic() > began + 300:
            raise SystemExit(f"the backlog is still {manager.usage['waiting']} after 300 s")
        time.sleep(0.1)
    return time.monotonic() - began


def _check(servers: Servers, dataset: str, taken: int, drained_s: float) -> Round:
    """Compare ids with sequence numbers, and those with what PostgreSQL counted."""
    ids: dict[int, set[int]] = {}
    messages = 0
    for seq, number in _pairs(servers, dataset):
        ids.setdefault(number, set()).add(seq)
        messages += 1
    seqs = {seq for found in ids.values() for seq in found}
    (row,) = servers.platform.state_sql(
        f"SELECT coalesce(sum(accepted), 0) AS n FROM poll_datasets WHERE dataset = '{dataset}'"
    )
    missing = set(range(1, taken + 1)) ^ seqs
    return Round(
        lost=len(set(range(IDS)) - set(ids)),
        twice=sum(len(found) - 1 for found in ids.values()),
        unsettled=len(missing) + abs(int(row["n"]) - taken),
        repeated=messages - len(seqs),
        drained_s=drained_s,
    )


def _pairs(servers: Servers, dataset: str) -> Iterator[tuple[int, int]]:
    for batch in read(servers, dataset):
        for message in batch:
            found = NUMBER.search(message.value() or b"")
            if found is None:
                raise SystemExit(f"not a record of this benchmark: {message.value()!r}")
            yield seq_of(message), int(found[1])


def _load() -> list[Round]:
    return [Round(**one) for one in json.loads(STATE.read_text())] if STATE.exists() else []


def _save(done: list[Round]) -> None:
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.write_text(json.dumps([vars(one) for one in done]))
