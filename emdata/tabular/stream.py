"""Rows as an Arrow IPC stream: https://arrow.apache.org/docs/format/Columnar.html."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from emdata.tabular.batches import Batches
from emdata.tabular.model import Row, Table
from emdata.tabular.sink import Sink


class ArrowEncoder:
    """Encodes rows as they come, one record batch a call; nothing is held."""

    def __init__(self, table: Table) -> None:
        self._batches = Batches(table, is_geoarrow=True)
        self._sink = Sink()
        self._writer = pa.ipc.new_stream(self._sink, self._batches.schema)

    def begin(self) -> bytes:
        """Return the schema."""
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the rows as one batch."""
        if rows:
            self._writer.write_batch(self._batches.batch(rows))
        return self._sink.take()

    def end(self) -> bytes:
        """Return the mark of the stream's end."""
        self._writer.close()
        return self._sink.take()
