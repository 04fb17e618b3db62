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
from emdata.state.ledger import Balance, missing_seqs, settle
from emdata.state.reads import register_writer
from emdata.telemetry import get_logger
from emdata.warehouse import Warehouse
from stream_manager import metrics
from stream_manager.freshness import FreshnessWatch
from stream_manager.intake import Intake

log = get_logger(__name__)
BUSY_SECONDS, IDLE_SECONDS = 1.0, 2.0
RECOUNT_SECONDS = 60.0
STUCK_SECONDS, STUCK_LONGEST = 120.0, 3600.0
MARKS = 8


class LedgerKeeper:
    """One thread. A balance is exact for the sequence number it names, and stored."""

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
    ) -> None:
        self._intake, self._engine, self._warehouse = intake, engine, warehouse
        self._records, self._clock, self._is_simulated = records, clock, is_simulated
        self._resend = resend
        self.freshness = FreshnessWatch(engine, records, clock)
        self._balances: dict[str, Balance] = {}
        self._progress: dict[str, tuple[int, float]] = {}
        self._counted_at: dict[str, float] = {}
        self._marks: dict[str, deque[int]] = {}
        self._patience: dict[str, float] = {}
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
                for name, seq in sorted(self._intake.log.seqs_durable().items()):
                    busy = self._settle(name, seq) or busy
            except (EmdataError, SQLAlchemyError, OSError) as error:
                code = getattr(error, "code", None) or type(error).__name__
                log.warning("ledger_not_settled", error_class=code, error=str(error)[:300])
            self._stop.wait(BUSY_SECONDS if busy else IDLE_SECONDS)

    def _heartbeat(self) -> None:
        register_writer(
            self._engine,
            self._intake.config.writer,
            epoch=self._intake.log.epoch,
            is_simulated=self._is_simulated,
            now=self._clock.now(),
        )

    def _settle(self, name: str, seq: int) -> bool:
        """Settle one dataset; whether something is still on the way."""
        now = self._clock.monotonic()
        record = self._records.get(name)
        before = self._balances.get(name)
        if record is None or self._stop.is_set():
            return False
        is_settled = before is not None and before.high_seq == seq and before.on_the_way == 0
        is_recount = now - self._counted_at.get(name, -RECOUNT_SECONDS) >= RECOUNT_SECONDS
        if is_settled and not is_recount:
            return False
        marks = self._marks.setdefault(name, deque(maxlen=MARKS))
        balance = settle(
            self._engine,
            self._warehouse,
            record,
            self._intake.config.writer,
            seq,
            now=self._clock.now(),
            since=None if is_recount else before,
            marks=tuple(marks),
        )
        if is_recount:
            self._counted_at[name] = now
        if seq not in marks:
            marks.append(seq)
        self._balances[name] = balance
        metrics.ON_THE_WAY.labels(name).set(balance.on_the_way)
        metrics.LANDED.labels(name).set(balance.landed)
        metrics.DEAD_AFTER_ACCEPTANCE.labels(name).set(balance.dead)
        self._watch(record, balance)
        return balance.on_the_way > 0

    def _watch(self, record: type[Record], balance: Balance) -> None:
        """Name what stays on the way although nothing moves, and send it again."""
        now = self._clock.monotonic()
        name = balance.dataset
        landed, since = self._progress.get(name, (-1, now))
        if balance.landed != landed or balance.on_the_way == 0:
            self._progress[name] = (balance.landed, now)
            self._patience.pop(name, None)
            return
        delivery = self._intake.delivery
        waiting = sum(self._intake.queues.depths().values()) + delivery.in_flight + delivery.parked
        patience = self._patience.get(name, STUCK_SECONDS)
        if waiting or now - since < patience:
            return
        # What the topic has lost as well stays missing: look again, but ever more seldom.
        self._patience[name] = min(patience * 2, STUCK_LONGEST)
        self._progress[name] = (balance.landed, now)
        seqs = missing_seqs(
            self._engine,
            self._warehouse,
            record,
            balance.writer,
            above=balance.settled_seq,
            high_seq=balance.high_seq,
        )
        log.error("records_stuck_on_the_way", dataset=name, missing=len(seqs), first=seqs[:20])
        self._resend(record, balance.writer, seqs)
