"""A CRITICAL backlog, such as after an outage, in the order of need."""

from __future__ import annotations

from collections.abc import Sequence

from emdata.envelope import Accepted
from emdata.errors import BufferUnavailable
from stream_manager.buffer import BufferLog, Run
from stream_manager.control.critical import NearestKm, critical_rank, order_critical


def in_order_of_need(
    runs: Sequence[Run], buffer: BufferLog, nearest_km: NearestKm | None
) -> list[Run]:
    """Cut runs into single records, nearest to people first; versions of a key keep their order.

    What cannot be read stays as it is, behind the rest: the sender parks it.
    """
    singles: list[tuple[Run, Accepted]] = []
    unreadable: list[Run] = []
    for run in runs:
        try:
            block = buffer.load(run)
        except BufferUnavailable:
            unreadable.append(run)
            continue
        for position in run.positions:
            single = run.only([position])
            single.block = block
            singles.append((single, block.record(position)))
    ordered = order_critical(
        singles,
        rank=lambda single: critical_rank(single[1], nearest_km),
        key=lambda single: (single[1].topic, single[1].kafka_key),
    )
    return [run for run, _ in ordered] + unreadable
