"""What a poll is given, what it counts, and what may go wrong with a row or a record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from emdata.clock import Clock
from emdata.contracts.base import Dataset, Priority, Record
from emdata.envelope import PUBLIC
from emdata.errors import EmdataError, PermanentError
from stream_manager.buffer import BufferWriter
from stream_manager.delivery.producers import MAX_MESSAGE_BYTES
from stream_manager.polls.prepared import Keys
from stream_manager.polls.seen import SeenIndex

MAX_PAYLOAD = MAX_MESSAGE_BYTES - 64 * 1024
MAX_REASON = 4000

# What a row may do to a parser, and a record's own methods may raise; each costs that row or record
# only. MemoryError and the like are neither's.
RECORD_ERRORS = (
    EmdataError,
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    RecursionError,
)


class Interrupted(EmdataError):
    """A poll ended before it was complete, because its stream was stopped."""

    code = "interrupted"


class RecordTooLarge(PermanentError):
    """A record is larger than a Kafka message may be."""

    code = "record_too_large"


@dataclass
class Tally:
    """What a poll counted so far."""

    documents: int = 0
    bytes: int = 0
    rows: int = 0
    ignored: int = 0
    rejected: int = 0
    parsed: int = 0
    raw_documents: list[str] = field(default_factory=list)
    not_modified: bool = False


def _as_it_says(record: Record) -> Priority:
    return record.priority()


def _as_they_are(_dataset: Dataset, priorities: Sequence[int]) -> Sequence[int]:
    return priorities


@dataclass(frozen=True)
class PollContext:
    """What the manager gives a poll.

    admits: whether there is room for a priority of a tenant. decide: a record's priority;
    decide_prepared: the same for a dataset's records that come as columns. keys: what
    is done with the content of each key. request_ids: the requests that this poll answers.
    """

    poll_id: str
    stream: str
    source: str
    writer: int
    cursor: dict[str, Any]
    buffer: BufferWriter
    seen: SeenIndex
    admits: Callable[[Priority, str], bool]
    clock: Clock
    is_simulated: bool
    batch_size: int
    keys: Keys = Keys.COMPARED
    request_ids: tuple[int, ...] = ()
    tenant: str = PUBLIC
    decide: Callable[[Record], Priority] = _as_it_says
    decide_prepared: Callable[[Dataset, Sequence[int]], Sequence[int]] = _as_they_are
