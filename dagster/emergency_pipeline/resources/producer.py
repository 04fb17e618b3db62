"""Records of other programs go through the stream manager's ingest endpoint.

The manager gives each record its identity, checks its contract and answers after fsync, so what
is sent here is counted by the ledger like everything else. Where no manager can be reached, the
same is done in this process, as a writer of its own (``stream_manager.clients.degraded``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import msgspec

from emdata.contracts import Record, contract
from emdata.errors import ContractError
from stream_manager.clients.client import Fallback, ManagerClient, Sent

BATCH = 500
"""Records per request at most."""
BATCH_BYTES = 8 << 20
"""Bytes per request; half of what the endpoint takes. A larger record goes alone."""


@dataclass
class IngestProducer:
    """Collects records per dataset and posts them in batches; not for use by several threads.

    Delivery is at least once: a request that broke off may have been accepted, and its records
    stay here to be sent again; the table is keyed by identity and staging by the contract's key.
    url: of the manager; of active and standby separated by commas. fallback: makes what writes to
    Kafka while no manager can be reached; without one, records stay here. prepare: called once,
    when a manager has answered.
    """

    url: str
    token: Callable[[], str]
    timeout: float = 30.0
    fallback: Callable[[], Fallback] | None = None
    prepare: Callable[[], object] | None = None
    _client: ManagerClient = field(init=False)
    _waiting: dict[str, list[bytes]] = field(default_factory=dict)
    _sent: Sent = field(default_factory=Sent)

    def __post_init__(self) -> None:
        self._client = ManagerClient(
            self.url.split(","), self.token, self.timeout, self.fallback, self.prepare
        )

    @property
    def is_degraded(self) -> bool:
        """Whether the last records went to Kafka without the manager."""
        return self._client.is_degraded

    def send(self, dataset: str, record: Record | Mapping[str, Any]) -> None:
        """Take one record; posted when a batch is full or on ``flush``.

        Raises ContractError for an unknown dataset and for a record of another one.
        """
        wanted = contract(dataset)
        if isinstance(record, Record):
            if not isinstance(record, wanted):
                raise ContractError(
                    dataset, value=type(record).__name__, allowed=wanted.__name__
                )  # fmt: skip
            body = msgspec.json.encode(record)
        else:
            body = msgspec.json.encode(dict(record))
        batch = self._waiting.setdefault(dataset, [])
        batch.append(body)
        if len(batch) >= BATCH:
            self._sent += self._post(dataset)

    def flush(self) -> Sent:
        """Post everything that waits; return what was accepted and rejected since the last flush.

        Raises SourceUnavailable when the manager cannot be reached or has no room (the records
        stay and can be flushed again), ServiceError when it refuses the request as a whole.
        """
        for dataset in list(self._waiting):
            self._sent += self._post(dataset)
        sent, self._sent = self._sent, Sent()
        return sent

    @property
    def waiting(self) -> int:
        """Records that were taken and not yet answered for."""
        return sum(len(batch) for batch in self._waiting.values())

    def __enter__(self) -> IngestProducer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.flush()
        finally:
            self._client.close()

    def _post(self, dataset: str) -> Sent:
        total = Sent()
        while batch := _first_batch(self._waiting.get(dataset, [])):
            total += self._client.post(dataset, batch)
            del self._waiting[dataset][: len(batch)]
        self._waiting.pop(dataset, None)
        return total


def _first_batch(waiting: list[bytes]) -> list[bytes]:
    """Return the records of the next request: as many as fit, but at least one."""
    size = 0
    for count, body in enumerate(waiting[:BATCH]):
        size += len(body) + 1
        if count and size > BATCH_BYTES:
            return waiting[:count]
    return waiting[:BATCH]
