"""Plans that are kept, and what is known of their results."""

from __future__ import annotations

import dataclasses
import threading

from embedded_starrocks.mysql.resultset import ResultColumn
from embedded_starrocks.sql.rewrite import Plan
from embedded_starrocks.storage.metadata import Catalog, Relation

MAX_PLANS = 1000


@dataclasses.dataclass
class CachedPlan:
    """A plan cut at its numbers, and what is known of its results.

    `columns` are the same for all numbers; `may_overflow` says that a sum may lie beyond the type
    it is shown as. `is_large` is how many rows the last result had, None before the first one.
    """

    pieces: list[str]
    reads: list[Relation]
    has_largeint: bool
    columns: list[ResultColumn] | None = None
    may_overflow: bool = False
    is_large: bool | None = None

    def plan(self, numbers: list[str]) -> Plan:
        parts = [self.pieces[0]]
        for number, piece in zip(numbers, self.pieces[1:], strict=True):
            parts += [number, piece]
        return Plan(sql="".join(parts), reads=self.reads, has_largeint=self.has_largeint)


Key = tuple[str, str, str, frozenset[str]]


class PlanCache:
    """The plans of one store, thrown away whenever its catalog changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._plans: dict[Key, CachedPlan] = {}
        self._catalog: Catalog | None = None

    def get(self, catalog: Catalog, key: Key) -> CachedPlan | None:
        return self._plans.get(key) if self._catalog is catalog else None

    def put(self, catalog: Catalog, key: Key, plan: CachedPlan) -> None:
        with self._lock:
            if self._catalog is not catalog:
                self._catalog = catalog
                self._plans = {}
            elif len(self._plans) >= MAX_PLANS:
                self._plans = {}
            self._plans[key] = plan
