"""What was last accepted of single keys, read when a dead letter is driven again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Engine

from emdata.state.database import transaction
from emdata.state.tables import poll_datasets as counts
from emdata.state.tables import polls, seen


def load_contents(
    engine: Engine, dataset: str, key_hashes: Sequence[bytes]
) -> dict[bytes, tuple[bytes, str | None]]:
    """Return (content hash, version) last accepted for each named key, where there is one."""
    query = sa.select(seen.c.key_hash, seen.c.content_hash, seen.c.version).where(
        seen.c.dataset == dataset, seen.c.key_hash.in_(key_hashes)
    )
    with transaction(engine) as connection:
        rows = connection.execute(query)
        return {bytes(row.key_hash): (bytes(row.content_hash), row.version) for row in rows}


def newer_content(
    engine: Engine, *, dataset: str, key_hash: bytes, content_hash: bytes, since: datetime
) -> bool:
    """Whether other content of a key was accepted after ``since``, by whatever writer.

    Asked for datasets without a version, where the last to arrive is the current one.
    """
    with transaction(engine) as connection:
        known = connection.execute(
            sa.select(seen.c.content_hash, seen.c.seq, seen.c.writer).where(
                seen.c.dataset == dataset, seen.c.key_hash == key_hash
            )
        ).first()
        if known is None or bytes(known.content_hash) == content_hash:
            return False
        before = connection.execute(
            sa.select(sa.func.max(counts.c.last_seq))
            .join(polls, polls.c.poll_id == counts.c.poll_id)
            .where(
                counts.c.dataset == dataset, counts.c.writer == known.writer,
                polls.c.finished_at <= since,
            )
        ).scalar()  # fmt: skip
        return int(known.seq) > int(before or 0)
