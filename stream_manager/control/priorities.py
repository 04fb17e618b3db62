"""Which priority a record gets: a default by name, refined by its contract, capped by approval.

1. A contract with a ``priority()`` of its own decides by what the record says (severity, urgency).
2. Without one, the name of its dataset or source decides, see ``DEFAULTS``; the rest is LOW.
3. CRITICAL is for approved datasets only: those whose contract says ``approved_critical=True`` and
   those listed in EMDATA_APPROVED_CRITICAL. Whatever else asks for it is HIGH, and counted. A name
   alone never makes anything CRITICAL.

A session calls ``PollContext.decide(record)`` once for each record that is new or changed, before
its Draft is made, and ``decide_prepared(dataset, priorities)`` for a prepared batch; see
``stream_manager.control.control``, which adds the limits on CRITICAL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from emdata.contracts.base import Dataset, Priority, Record

DEFAULTS = (
    ("evacuation_alert", Priority.CRITICAL),
    ("emergency_broadcast", Priority.CRITICAL),
    ("life_safety", Priority.CRITICAL),
    ("firms", Priority.HIGH),
    ("landsat", Priority.HIGH),
    ("iot", Priority.NORMAL),
    ("noaa", Priority.NORMAL),
)
"""Whole words in the name of a dataset or source, the first that is found counts."""
_CRITICAL = Priority.CRITICAL  # a member of an enumeration is looked up by a call


class PriorityPolicy:
    """Pure but for the count of what it capped.

    approved: names of datasets that may be CRITICAL beside those whose contract says so.
    on_capped: told the dataset and the source of every record that asked for CRITICAL in vain.
    """

    def __init__(
        self,
        approved: Iterable[str] = (),
        on_capped: Callable[[Dataset], None] = lambda _dataset: None,
    ) -> None:
        self._approved, self._on_capped = frozenset(approved), on_capped
        self._names: dict[str, Priority] = {}

    def is_approved(self, dataset: Dataset) -> bool:
        """Whether records of a dataset may be CRITICAL."""
        return dataset.approved_critical or dataset.name in self._approved

    def default(self, dataset: Dataset) -> Priority:
        """Return the priority by name alone; CRITICAL for approved datasets only."""
        return self._capped(dataset, self._named(dataset))

    def decide(self, record: Record) -> Priority:
        """Return the priority of one record; what its ``priority()`` raises passes through."""
        dataset = record.dataset
        is_silent = type(record).priority is Record.priority
        wanted = self._named(dataset) if is_silent else record.priority()
        return wanted if wanted is not _CRITICAL else self.decide_level(dataset, wanted)

    def decide_level(self, dataset: Dataset, wanted: Priority) -> Priority:
        """Return the priority of a record that asks for ``wanted``; counts what is capped."""
        given = self._capped(dataset, wanted)
        if given is not wanted:
            self._on_capped(dataset)
        return given

    def _capped(self, dataset: Dataset, wanted: Priority) -> Priority:
        if wanted is Priority.CRITICAL and not self.is_approved(dataset):
            return Priority.HIGH
        return wanted

    def _named(self, dataset: Dataset) -> Priority:
        known = self._names.get(dataset.name)
        if known is None:
            words = f"_{dataset.source}__{dataset.name}_"
            found = (level for word, level in DEFAULTS if f"_{word}_" in words)
            known = self._names[dataset.name] = next(found, Priority.LOW)
        return known

    def of_stream(self, emits: Iterable[type[Record]]) -> Priority:
        """Return how urgent a stream is: CRITICAL if any of its records may be."""
        levels = [
            Priority.CRITICAL if self.is_approved(one.dataset) else self.default(one.dataset)
            for one in emits
        ]
        return min(levels, default=Priority.LOW)
