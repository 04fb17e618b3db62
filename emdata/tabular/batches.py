"""Rows as record batches; where rows have a place, GeoJSON text gives way to WKB and a box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from emdata.tabular.arrow import array_of, arrow_schema
from emdata.tabular.geometry import BOX, BOX_TYPE, NAME, GeoColumns
from emdata.tabular.model import Row, Table

# What readers of GeoArrow know the column by: https://geoarrow.org/extension-types.html
_EXTENSION = {
    "ARROW:extension:name": "geoarrow.wkb",
    "ARROW:extension:metadata": '{"crs":"OGC:CRS84","crs_type":"authority_code"}',
}


class Batches:
    """Turns rows into batches of one schema; ``geo`` collects what is said of the geometries."""

    def __init__(self, table: Table, *, is_geoarrow: bool = False) -> None:
        self._table = table
        self.geo = None if table.places is None else GeoColumns()
        self.schema = geo_schema(table, _EXTENSION if is_geoarrow else {})

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Return rows as one batch."""
        values = self._table.values(rows)
        arrays: dict[str, pa.Array] = {}
        if self.geo is not None:
            arrays[NAME], arrays[BOX] = self.geo.arrays(self._table, rows)
        for column in self._table.columns:
            if column.name in self.schema.names and column.name not in arrays:
                arrays[column.name] = array_of(column, values[column.name])
        return pa.RecordBatch.from_arrays(
            [arrays[name] for name in self.schema.names], schema=self.schema
        )


def geo_schema(table: Table, extension: Mapping[str, str]) -> pa.Schema:
    """Return the schema of the batches: the geometry and its box come last."""
    schema = arrow_schema(table)
    if table.places is None:
        return schema
    for name in (table.places.geojson, NAME, BOX):
        if name is not None and name in schema.names:
            schema = schema.remove(schema.get_field_index(name))
    about = {"description": "Geometry as WKB, longitude and latitude, WGS 84", **extension}
    schema = schema.append(pa.field(NAME, pa.binary(), metadata=about))
    return schema.append(pa.field(BOX, BOX_TYPE, metadata={"unit": "deg"}))
