"""Rows as Parquet, written row group by row group; GeoParquet where rows have a place."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from emdata.tabular.batches import Batches
from emdata.tabular.model import Row, Table
from emdata.tabular.sink import Sink

GROUP_ROWS = 50_000
GROUP_BYTES = 16 << 20


class ParquetEncoder:
    """Encodes rows as they come; what is held is one row group, bounded by rows and bytes.

    A file without its end has no footer, and no reader takes it for a whole one.
    """

    def __init__(self, table: Table) -> None:
        self._batches = Batches(table)
        self._sink = Sink()
        self._writer = pq.ParquetWriter(self._sink, self._batches.schema, compression="zstd")
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def begin(self) -> bytes:
        """Return the first bytes."""
        return self._sink.take()

    def rows(self, rows: Sequence[Row]) -> bytes:
        """Return the bytes that became ready with these rows; often none."""
        if rows:
            batch = self._batches.batch(rows)
            self._waiting.append(batch)
            self._rows += batch.num_rows
            self._bytes += batch.nbytes
        if self._rows >= GROUP_ROWS or self._bytes >= GROUP_BYTES:
            self._flush()
        return self._sink.take()

    def end(self) -> bytes:
        """Return the last bytes."""
        self._flush()
        if self._batches.geo is not None:
            self._writer.add_key_value_metadata({"geo": self._batches.geo.metadata()})
        self._writer.close()
        return self._sink.take()

    def _flush(self) -> None:
        if self._waiting:
            group = pa.Table.from_batches(self._waiting)
            self._writer.write_table(group, row_group_size=self._rows)
        self._waiting = []
        self._rows = self._bytes = 0
