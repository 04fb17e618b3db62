"""Tenants: a quota of waiting records each, so that one's flood leaves the others their room.

A tenant is given when a stream is started. Once its waiting records (those in the queues) reach its
quota, new ones are deferred: refused before they are acknowledged, and polled again. LOW is refused
first, CRITICAL never. ``public`` has no quota unless one is named, because an outage may fill the
whole buffer with it.

The check is made for each record and the count is of records that are queued, so a tenant may pass
its quota by the records of the batches that are being written.

The queues count: ``PriorityQueues.waiting(tenant) -> int`` (records of a tenant in all lanes) is
what ``waiting`` is to be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from emdata.contracts.base import Priority

PUBLIC = "public"

# Share of the quota up to which a priority is admitted.
SHARE = {Priority.LOW: 0.90, Priority.NORMAL: 0.95, Priority.HIGH: 1.0}


class TenantQuotas:
    """quotas: by tenant; default: for tenants not named there, but for ``public``."""

    def __init__(
        self, waiting: Callable[[str], int], default: int, quotas: Mapping[str, int]
    ) -> None:
        self._waiting, self._default, self._quotas = waiting, default, dict(quotas)

    def quota(self, tenant: str) -> int | None:
        """Return a tenant's quota in records, None when it has none."""
        return self._quotas.get(tenant, None if tenant == PUBLIC else self._default)

    def waiting(self, tenant: str) -> int:
        """Return how many records of a tenant wait."""
        return self._waiting(tenant)

    def admits(self, priority: Priority, tenant: str) -> bool:
        """Whether a new record of a tenant may be taken."""
        quota = self.quota(tenant)
        if priority is Priority.CRITICAL or quota is None:
            return True
        return self._waiting(tenant) < quota * SHARE[priority]
