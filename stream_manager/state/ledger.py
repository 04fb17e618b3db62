"""Keeping the ledger: settles every dataset again and again, and sends again what got lost."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.errors import EmdataError
from emdata.state.clients import client_high_seqs
from emdata.state.ledger import Balance, missing_seqs, settle
from emdata.state.reads import register_writer
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse
from stream_manager import metrics
from stream_manager.intake import Intake
from stream_manager.state.freshness import FreshnessWatch

log = get_logger(__name__)
BUSY_SECONDS, IDLE_SECONDS = 1.0, 2.0
RECOUNT_SECONDS = 60.0
STUCK_SECONDS, STUCK_LONGEST = 120.0, 3600.0
CLIENTS_SECONDS = 5.0
MARKS = 8
Place = tuple[int, str]  # writer, dataset


class LedgerKeeper:
    """One thread. A balance is exact for the sequence number it names, and stored.

    is_unfinished: whether a client's buffer may still hold records for Kafka.
    """

    def __init__(
        self,
        intake: Intake,
        engine: Engine,
        warehouse: Warehouse,
        records: Mapping[str, type[Record]],
        clock: Clock,
        *,
        is_simulated: bool,
        resend: Callable[[type[Record], int, list[int]], int],
        is_unfinished: Callable[[int], bool] = lambda _writer: False,
    ) -> None:
        self._intake, self._engine, self._warehouse = intake, engine, warehouse
        self._records, self._clock, self._is_simulated = records, clock, is_simulated
        self._resend, self._is_unfinished = resend, is_unfinished
        self.freshness = FreshnessWatch(engine, records, clock)
        self._balances: dict[Place, Balance] = {}
        self._progress: dict[Place, tuple[int, float]] = {}
        self._counted_at: dict[Place, float] = {}
        self._marks: dict[Place, deque[int]] = {}
        self._patience: dict[Place, float] = {}
        self._of_clients: dict[Place, int] = {}
        self._clients_read_at = -CLIENTS_SECONDS
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread."""
        self._stop.set()
        self._thread.join(3.0)

    def rows(self) -> list[dict[str, Any]]:
        """Return the balances as plain rows."""
        return [
            {
                "dataset": one.dataset,
                "writer": one.writer,
                "accepted": one.high_seq,
                "landed": one.landed,
                "dead": one.dead,
                "on_the_way": one.on_the_way,
                "is_settled": one.on_the_way == 0,
                "newest_event_at": one.newest_event_at and one.newest_event_at.isoformat(),
            }
            for _, one in sorted(self._balances.items())
        ]

    def _run(self) -> None:
        while not self._stop.is_set():
            busy = False
            try:
                self._heartbeat()
                self.freshness.look()
                for place, seq in self._accepted():
                    busy = self._settle(place, seq) or busy
            except (EmdataError, SQLAlchemyError, OSError) as error:
                code = getattr(error, "code", None) or type(error).__name__
                log.warning("ledger_not_settled", error_class=code, error=str(error)[:300])
            self._stop.wait(BUSY_SECONDS if busy else IDLE_SECONDS)

    def _accepted(self) -> list[tuple[Place, int]]:
        """Return what is to be settled: our own datasets by the log, those of clients by state."""
        writer, now = self._intake.config.writer, self._clock.monotonic()
        own = {(writer, name): seq for name, seq in self._intake.log.seqs_durable().items()}
        if now - self._clients_read_at >= CLIENTS_SECONDS:
            self._of_clients = client_high_seqs(self._engine)
            self._clients_read_at = now
        return sorted({**self._of_clients, **own}.items())

    def _heartbeat(self) -> None:
        register_writer(
            self._engine,
            self._intake.config.writer,
            epoch=self._intake.log.epoch,
            is_simulated=self._is_simulated,
            now=self._clock.now(),
        )

    def _settle(self, place: Place, seq: int) -> bool:
        """Settle one dataset of one writer; whether something is still on the way."""
        now = self._clock.monotonic()
        writer, name = place
        record = self._records.get(name)
        before = self._balances.get(place)
        if record is None or self._stop.is_set():
            return False
        is_settled = before is not None and before.high_seq == seq and before.on_the_way == 0
        is_recount = now - self._counted_at.get(place, -RECOUNT_SECONDS) >= RECOUNT_SECONDS
        if is_settled and not is_recount:
            return False
        marks = self._marks.setdefault(place, deque(maxlen=MARKS))
        balance = settle(
            self._engine,
            self._warehouse,
            record,
            writer,
            seq,
            now=self._clock.now(),
            since=None if is_recount else before,
            marks=tuple(marks),
        )
        if is_recount:
            self._counted_at[place] = now
        if seq not in marks:
            marks.append(seq)
        self._balances[place] = balance
        self._export(name)
        self._watch(record, balance)
        return balance.on_the_way > 0

    def _export(self, name: str) -> None:
        """Set the gauges of a dataset, over all writers."""
        ours = [one for (_, dataset), one in self._balances.items() if dataset == name]
        metrics.ON_THE_WAY.labels(name).set(sum(one.on_the_way for one in ours))
        metrics.LANDED.labels(name).set(sum(one.landed for one in ours))
        metrics.DEAD_AFTER_ACCEPTANCE.labels(name).set(sum(one.dead for one in ours))

    def _watch(self, record: type[Record], balance: Balance) -> None:
        """Name what stays on the way although nothing moves, and send it again."""
        now = self._clock.monotonic()
        place = balance.writer, balance.dataset
        landed, since = self._progress.get(place, (-1, now))
        if balance.landed != landed or balance.on_the_way == 0:
            self._progress[place] = (balance.landed, now)
            self._patience.pop(place, None)
            return
        delivery = self._intake.delivery
        waiting = sum(self._intake.queues.depths().values()) + delivery.in_flight + delivery.parked
        patience = self._patience.get(place, STUCK_SECONDS)
        if waiting or now - since < patience or self._is_unfinished(balance.writer):
            return
        # What the topic has lost as well stays missing: look again, but ever more seldom.
        self._patience[place] = min(patience * 2, STUCK_LONGEST)
        self._progress[place] = (balance.landed, now)
        seqs = missing_seqs(
            self._engine,
            self._warehouse,
            record,
            balance.writer,
            above=balance.settled_seq,
            high_seq=balance.high_seq,
        )
        log.error("records_stuck_on_the_way", dataset=place[1], missing=len(seqs), first=seqs[:20])
        self._resend(record, balance.writer, seqs)
