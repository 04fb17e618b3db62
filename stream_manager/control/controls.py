"""The control of a manager's process: what decides, and the threads that serve it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from sqlalchemy import Engine

from emdata.clock import Clock
from emdata.contracts.base import Record
from emdata.derive.flink import landing_group_id
from emdata.settings import Settings
from emdata.state.audit import store_audit
from stream_manager import metrics
from stream_manager.control.audit import AuditTrail
from stream_manager.control.control import Control, ControlConfig
from stream_manager.control.lag import KafkaPositions, LagMeter
from stream_manager.intake import Intake

TICK_S = 1.0


class Controls:
    """``start`` and ``stop`` its threads; ``run`` on the event loop until cancelled."""

    def __init__(
        self,
        settings: Settings,
        intake: Intake,
        engine: Engine,
        clock: Clock,
        records: Mapping[str, type[Record]],
    ) -> None:
        self.audit = AuditTrail(settings.writer, clock, partial(store_audit, engine))
        self.meter = LagMeter(
            KafkaPositions(settings.kafka, clock),
            {landing_group_id(one): one.dataset.topic for one in records.values()},
            clock,
            interval_s=settings.lag_interval_s,
            on_lag=_show_lag,
        )
        self.control = Control(
            ControlConfig.from_settings(settings),
            clock,
            depths=intake.queues.depths,
            waiting=intake.queues.waiting,
            destination=intake.delivery.breaker,
            lag_s=self.meter.worst,
            audit=self.audit.note,
        )

    def start(self) -> None:
        """Start the threads."""
        self.audit.start()
        self.meter.start()

    def stop(self) -> None:
        """Stop the threads; at most two seconds."""
        self.meter.stop()
        self.audit.stop()

    async def run(self) -> None:
        """Look at queues and lag once a second."""
        while True:
            self.control.tick()
            metrics.AUDIT_WAITING.set(self.audit.waiting())
            await asyncio.sleep(TICK_S)


def _show_lag(lags: dict[str, float]) -> None:
    for group, seconds in lags.items():
        metrics.CONSUMER_LAG.labels(group).set(seconds)
