"""What decides about streams: priority, limits on CRITICAL, throttle, quotas and breakers together.

One object a manager; it belongs to the manager's event loop and never waits: what it has to store
goes to the audit trail's thread, what it wants to know of Kafka comes from the lag meter's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from emdata.clock import Clock
from emdata.contracts.base import Dataset, Priority, Record
from emdata.settings import Settings
from emdata.telemetry import get_logger
from stream_manager import metrics
from stream_manager.control.breaker import WAITS, Breaker, DestinationBreaker
from stream_manager.control.critical import CriticalGate, CriticalLimits, CriticalOverflow
from stream_manager.control.priorities import PriorityPolicy
from stream_manager.control.tenants import PUBLIC, TenantQuotas
from stream_manager.control.throttle import Throttle, ThrottleLimits

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """The limits; seconds and records. See emdata.settings.control for what each means."""

    approved: tuple[str, ...] = ()
    official: tuple[str, ...] = ("nws",)
    critical: CriticalLimits = field(default_factory=CriticalLimits)
    critical_waiting: int = 50
    throttle: ThrottleLimits = field(default_factory=ThrottleLimits)
    breaker_open_s: float = 60.0
    breaker_waits: tuple[float, ...] = WAITS
    report_s: float = 10.0
    slow_s: float = 10.0
    tenant_quota: int = 100_000
    tenant_quotas: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def from_settings(cls, settings: Settings) -> ControlConfig:
        """Return the limits that the settings name."""
        return cls(
            approved=settings.approved_critical,
            official=settings.official_sources,
            critical=CriticalLimits(
                per_source=settings.critical_per_minute,
                in_all=settings.critical_total_per_minute,
                official=settings.critical_official_per_minute,
                pause_s=settings.critical_pause_s,
            ),
            critical_waiting=settings.critical_waiting_alert,
            throttle=ThrottleLimits(
                lag_s=settings.throttle_lag_s,
                waits_s=settings.throttle_wait_s,
                capacity=settings.queue_capacity,
            ),
            breaker_open_s=settings.breaker_open_s,
            report_s=settings.delivery_report_s,
            slow_s=settings.source_slow_s,
            tenant_quota=settings.tenant_quota,
            tenant_quotas=settings.quota_by_tenant,
        )

    def new_destination(self) -> DestinationBreaker:
        """Return Kafka's breaker."""
        breaker = Breaker(self.breaker_open_s, waits=self.breaker_waits)
        return DestinationBreaker(breaker, self.report_s)


class Control:
    """depths: waiting records by priority name. waiting: those of a tenant. lag_s: seconds that
    landing is behind, None when not known. audit: as ``AuditTrail.note``. tenants: those that have
    or had a stream, by the manager."""

    def __init__(
        self,
        config: ControlConfig,
        clock: Clock,
        *,
        depths: Callable[[], Mapping[str, int]],
        waiting: Callable[[str], int],
        lag_s: Callable[[], float | None] = lambda: None,
        audit: Callable[..., None] = lambda _event, _subject, **_details: None,
        destination: DestinationBreaker | None = None,
    ) -> None:
        self.config, self._clock, self._audit = config, clock, audit
        self._depths, self._lag_s = depths, lag_s
        self.policy = PriorityPolicy(config.approved, self._capped)
        self.gate = CriticalGate(
            config.critical, config.official, on_pause=self._paused, on_resume=self._resumed
        )
        self.overflow = CriticalOverflow(config.critical_waiting)
        self.throttle = Throttle(config.throttle)
        self.quotas = TenantQuotas(waiting, config.tenant_quota, config.tenant_quotas)
        self.tenants: set[str] = set()
        self.destination = destination or config.new_destination()
        self._kafka = self.destination.state

    def decider(self, source: str, tenant: str) -> Callable[[Record], Priority]:
        """Return what gives a poll's records their priority at acceptance; counts CRITICAL ones."""
        decide, limited = self.policy.decide, self._limited

        critical = Priority.CRITICAL

        def of(record: Record) -> Priority:
            given = decide(record)
            return given if given is not critical else limited(given, source, tenant)

        return of

    def decide_level(
        self, dataset: Dataset, wanted: Priority, source: str, tenant: str = PUBLIC
    ) -> Priority:
        """Return the priority of a record whose contract was asked elsewhere."""
        return self._limited(self.policy.decide_level(dataset, wanted), source, tenant)

    def decide_levels(
        self, dataset: Dataset, wanted: Sequence[int], source: str, tenant: str = PUBLIC
    ) -> Sequence[int]:
        """Return the priorities of records that come as columns; as ``decide_level`` for each."""
        if Priority.CRITICAL not in wanted:
            return wanted
        return [self.decide_level(dataset, Priority(level), source, tenant) for level in wanted]

    def new_breaker(self, every_s: float) -> Breaker:
        """Return the breaker of a source that is polled every so many seconds."""
        config = self.config
        return Breaker(config.breaker_open_s, longest_s=every_s, waits=config.breaker_waits)

    def tick(self) -> None:
        """Look at queues and lag, once a second or so."""
        now, depths = self._clock.monotonic(), self._depths()
        self.gate.tick(now)
        self._note_critical(depths.get(Priority.CRITICAL.name, 0))
        before = self.throttle.level
        fullest = max(
            (n for name, n in depths.items() if name != Priority.CRITICAL.name), default=0
        )
        lag_s = self._lag_s()
        after = self.throttle.note(now, lag_s=lag_s, depth=fullest)
        if after is not before:
            log.warning(
                "throttling_changed",
                level=after.name,
                before=before.name,
                lag_s=None if lag_s is None else round(lag_s, 1),
                depth=fullest,
            )
        metrics.THROTTLING.set(after)
        for tenant in self.tenants:
            metrics.TENANT_WAITING.labels(tenant).set(self.quotas.waiting(tenant))
        self._show_kafka()

    def status(self) -> dict[str, Any]:
        """Return what is in force, as plain JSON."""
        lag_s = self._lag_s()
        return {
            "throttling": self.throttle.level.name.lower(),
            "lag_s": None if lag_s is None else round(lag_s, 1),
            "kafka_breaker": self.destination.state.name.lower(),
            "critical_paused": sorted(self.gate.paused(self._clock.monotonic())),
            "is_critical_overflow": self.overflow.is_raised,
        }

    def _limited(self, priority: Priority, source: str, tenant: str) -> Priority:
        if priority is not Priority.CRITICAL:
            return priority
        # A tenant may name its source as it likes; the official limit is not for the taking.
        name = source if tenant == PUBLIC else f"{tenant}/{source}"
        if self.gate.admit(name, self._clock.monotonic()):
            return priority
        metrics.CRITICAL_DEMOTED.labels(name, "limit").inc()
        return Priority.HIGH

    def _show_kafka(self) -> None:
        state = self.destination.state
        metrics.BREAKER_STATE.labels("destination", "kafka").set(state)
        if state is not self._kafka:
            log.warning("kafka_breaker", state=state.name.lower(), before=self._kafka.name.lower())
            self._kafka = state

    def _note_critical(self, waiting: int) -> None:
        change = self.overflow.note(waiting)
        if change is None:
            return
        metrics.CRITICAL_OVERFLOW.set(int(change))
        event = "critical_overflow" if change else "critical_overflow_over"
        details = {"limit": self.overflow.limit, "most": self.overflow.most}
        (log.error if change else log.info)(event, waiting=waiting, **details)
        self._audit(event, "queue CRITICAL", waiting=waiting, **details)

    def _capped(self, dataset: Dataset) -> None:
        metrics.CRITICAL_DEMOTED.labels(dataset.source, "not_approved").inc()

    def _paused(self, source: str, reason: str) -> None:
        pause_s = self.config.critical.pause_s
        metrics.BREAKER_STATE.labels("critical", source).set(1)
        log.error("critical_demoted", source=source, passed=reason, pause_s=pause_s)
        self._audit("critical_demoted", source, passed=reason, pause_s=pause_s)

    def _resumed(self, source: str, demoted: int) -> None:
        metrics.BREAKER_STATE.labels("critical", source).set(0)
        log.warning("critical_allowed_again", source=source, demoted=demoted)
        self._audit("critical_allowed_again", source, demoted=demoted)
