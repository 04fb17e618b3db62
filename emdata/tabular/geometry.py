"""Places of rows as WKB with bounding boxes, and what GeoParquet 1.1 says about them.

https://geoparquet.org/releases/v1.1.0/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import shapely

from emdata.tabular.model import Row, Table

NAME, BOX = "geometry", "bbox"
EDGES = ("xmin", "ymin", "xmax", "ymax")
BOX_TYPE = pa.struct([pa.field(edge, pa.float64()) for edge in EDGES])
_TYPE_NAMES = {
    0: "Point",
    1: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
}


class GeoColumns:
    """Makes the two columns, and collects what the metadata says of all geometries in them."""

    def __init__(self) -> None:
        self._types: set[int] = set()
        self._box = np.array([np.inf, np.inf, -np.inf, -np.inf])

    def arrays(self, table: Table, rows: Sequence[Row]) -> tuple[pa.Array, pa.Array]:
        """Return the rows' geometries as WKB and their boxes; null where a row has none."""
        shapes = geometries(table, rows)
        is_there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
        boxes = shapely.bounds(shapes)
        self._types.update(int(one) for one in np.unique(shapely.get_type_id(shapes[is_there])))
        if is_there.any():
            lowest, highest = boxes[is_there].min(axis=0), boxes[is_there].max(axis=0)
            self._box[:2] = np.minimum(self._box[:2], lowest[:2])
            self._box[2:] = np.maximum(self._box[2:], highest[2:])
        edges = [_array(boxes[:, index], pl.Float64) for index in range(4)]
        shapes[~is_there] = None
        wkb = list(shapely.to_wkb(shapes))
        return (
            _array(wkb, pl.Binary).cast(pa.binary()),
            pa.StructArray.from_arrays(
                edges, fields=list(BOX_TYPE), mask=_array(~is_there, pl.Boolean)
            ),
        )

    def metadata(self) -> str:
        """Return the value of the file's ``geo`` metadata."""
        column: dict[str, Any] = {
            "encoding": "WKB",
            # No CRS is said: that is OGC:CRS84, longitude first, by the specification.
            "geometry_types": sorted(_TYPE_NAMES[one] for one in self._types),
            "covering": {"bbox": {edge: [BOX, edge] for edge in EDGES}},
        }
        if np.isfinite(self._box).all():
            column["bbox"] = [float(edge) for edge in self._box]
        return json.dumps({"version": "1.1.0", "primary_column": NAME, "columns": {NAME: column}})


def geometries(table: Table, rows: Sequence[Row]) -> Any:
    """Return the geometry of each row, or None: its GeoJSON where that can be read, else its point.

    The array has dtype object. Heights are dropped.
    """
    shapes = np.full(len(rows), None, dtype=object)
    places = table.places
    if places is None or not rows:
        return shapes
    if places.geojson is not None:
        at = table.index[places.geojson]
        texts = np.array([row[at] or None for row in rows], dtype=object)
        shapes = shapely.force_2d(shapely.from_geojson(texts, on_invalid="ignore"))
    if places.point is not None:
        along, up = (table.index[name] for name in places.point)
        has_none = shapely.is_missing(shapes)
        pairs = np.array(
            [
                (np.nan, np.nan) if row[along] is None or row[up] is None else (row[along], row[up])
                for row in rows
            ],
            dtype=float,
        )
        has_none &= np.isfinite(pairs).all(axis=1)
        shapes[has_none] = shapely.points(pairs[has_none])
    return shapes


def _array(values: Any, kind: Any) -> pa.Array:
    """Through polars, as in emdata.tabular.arrow."""
    return pl.Series(values, dtype=kind).to_arrow()
