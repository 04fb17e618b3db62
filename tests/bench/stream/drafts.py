"""Records past validation: at the buffer's door, and as the buffer holds them."""

from __future__ import annotations

import msgspec

from emdata.contracts import Priority
from emdata.envelope import Accepted, Draft
from stream_manager.buffer import Drafts, blocks_of
from stream_manager.polls.prepared import PreparedBatch
from tests.bench.stream.records import contract_of, rows

READY = 1000
POLL = "20261121T091410-bench-0123456789ab"


def drafts(dataset: str, priority: Priority, count: int = READY) -> list[Draft]:
    """Records as a session hands them to the buffer."""
    record = contract_of(dataset)
    decode = msgspec.json.Decoder(record).decode
    made = []
    for raw in rows(range(count), priority):
        value = decode(raw)
        made.append(
            Draft(
                dataset=dataset,
                source="bench",
                stream="bench",
                topic=record.dataset.topic,
                poll_id=POLL,
                record_key=value.record_key(),
                record_version=value.version_text(),
                kafka_key=value.kafka_key(),
                key_hash=value.key_hash(),
                content_hash=value.content_hash(),
                priority=int(priority),
                is_simulated=True,
                payload=value.payload(),
            )
        )
    return made


def groups(dataset: str, priority: Priority, size: int) -> list[Drafts]:
    """The same, as many as an append takes, in the columns that a session hands over."""
    return blocks_of(drafts(dataset, priority, size))


def prepared(dataset: str, priority: Priority, count: int) -> PreparedBatch:
    """The same, as a parser of tables gives them to a poll."""
    made = drafts(dataset, priority, count)
    return PreparedBatch(
        record=contract_of(dataset),
        kafka_keys=[one.kafka_key for one in made],
        record_keys=[one.record_key for one in made],
        versions=[one.record_version for one in made],
        payloads=[one.payload for one in made],
        key_hashes=[one.key_hash for one in made],
        content_hashes=[one.content_hash for one in made],
        priorities=[one.priority for one in made],
    )


def accepted(dataset: str, count: int = READY) -> list[Accepted]:
    """Records as the manager's buffer holds them, numbered from 1 on."""
    at = "2026-11-21T09:14:10.123456"
    made = []
    for seq, draft in enumerate(drafts(dataset, Priority.LOW, count), start=1):
        given = {name: getattr(draft, name) for name in draft.__struct_fields__}
        made.append(Accepted(writer=1, seq=seq, accepted_at=at, **given))
    return made
