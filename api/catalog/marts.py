"""dbt model -> collection: a model is public by ``config.meta.api`` in its property file.

``meta.api``: ``key`` (columns), ``title``, and where they exist ``time`` and ``as_of`` (one column,
or start and end), ``point`` (longitude, latitude), ``bbox``, ``geojson``, ``state``, ``county``,
``is_live`` (a view over the present moment), ``sensitive`` (columns), ``tenant_column`` (names
whose row it is), ``tenant`` (whose all of it is). Types, units and descriptions come from its
columns.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from api.catalog.model import Collection, Geometry, Property, Span
from emdata.errors import ContractError
from emdata.tabular.model import Kind
from emdata.yamls import read_yaml

_TYPES: dict[str, Kind] = {
    "varchar": "string",
    "char": "string",
    "string": "string",
    "tinyint": "integer",
    "smallint": "integer",
    "int": "integer",
    "bigint": "integer",
    "largeint": "integer",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "boolean": "boolean",
    "date": "date",
    "datetime": "date-time",
    "json": "json",
}
_UNIT = re.compile(r"\s*\[([^\]]+)\]\s*$")
_NO_UNITS = frozenset({"UTC", "calendar date", "no unit"})
_COLUMN_LISTS = (
    "key",
    "time",
    "as_of",
    "point",
    "bbox",
    "geojson",
    "state",
    "county",
    "sensitive",
    "tenant_column",
)
_KNOWN = frozenset({*_COLUMN_LISTS, "title", "terms", "is_live", "tenant"})


def mart_collections(models: Path, database: str) -> Iterator[Collection]:
    """Yield the public models of a dbt project's ``models`` folder, built into ``database``.

    Its sources too, such as the windows that Flink keeps, which lie in a database of their own.
    Raises ContractError for a declaration that names what is not there.
    """
    for file in sorted(models.rglob("_*.yml")):
        document = read_yaml(file.read_text(encoding="utf-8")) or {}
        tables = [(database, model) for model in document.get("models") or ()]
        for source in document.get("sources") or ():
            tables += [(source["schema"], table) for table in source["tables"]]
        for schema, model in tables:
            declared = (model.get("config") or {}).get("meta", {}).get("api")
            if declared is not None:
                yield _collection(model, declared, schema, file.parent.name)


def _collection(
    model: Mapping[str, Any], declared: Mapping[str, Any], database: str, domain: str
) -> Collection:
    name = str(model["name"])
    sensitive = frozenset(declared.get("sensitive", ()))
    properties = tuple(_property(name, column, sensitive) for column in model["columns"])
    _check(name, declared, {one.name for one in properties})
    point, bbox = declared.get("point"), declared.get("bbox")
    geojson = declared.get("geojson")
    description = " ".join(str(model.get("description", "")).split())
    return Collection(
        id=name,
        title=str(declared["title"]),
        description=description,
        table=f"{database}.{name}",
        key=tuple(declared["key"]),
        properties=properties,
        domain=domain,
        terms=str(declared.get("terms", "See the collections that it is made from")),
        geometry=(
            Geometry(geojson, tuple(point) if point else None, tuple(bbox) if bbox else None)
            if point or geojson
            else None
        ),
        time=_span(declared.get("time")),
        as_of=_span(declared.get("as_of")),
        state=declared.get("state"),
        county=declared.get("county"),
        changes_with_time=bool(declared.get("is_live", False)),
        tenant=declared.get("tenant"),
        tenant_column=declared.get("tenant_column"),
    )


def _property(model: str, column: Mapping[str, Any], sensitive: frozenset[str]) -> Property:
    declared = str(column.get("data_type", "")).split("(")[0]
    if declared not in _TYPES:
        raise ContractError(
            f"{model}.{column['name']}: data_type", value=declared, allowed=", ".join(_TYPES)
        )
    text = " ".join(str(column.get("description", "")).split())
    unit = _UNIT.search(text)
    return Property(
        name=column["name"],
        type=_TYPES[declared],
        description=_UNIT.sub("", text),
        unit=unit[1] if unit and unit[1] not in _NO_UNITS else None,
        is_filterable=_TYPES[declared] != "json",
        is_sensitive=column["name"] in sensitive,
    )


def _span(declared: str | list[str] | None) -> Span | None:
    if declared is None:
        return None
    return Span(declared) if isinstance(declared, str) else Span(*declared)


def _check(model: str, declared: Mapping[str, Any], columns: set[str]) -> None:
    unknown = declared.keys() - _KNOWN
    if unknown or not declared.get("key") or not declared.get("title"):
        raise ContractError(
            f"{model}: meta.api",
            value=sorted(declared),
            allowed=f"key, title, {sorted(_KNOWN)}",
        )
    named: list[str] = []
    for what in _COLUMN_LISTS:
        value = declared.get(what) or ()
        named += [value] if isinstance(value, str) else list(value)
    hidden = sorted(
        {*declared.get("key", ()), declared.get("tenant_column")} & {*declared.get("sensitive", ())}
    )
    if hidden:
        raise ContractError(
            f"{model}: meta.api.sensitive", value=hidden, allowed="columns outside of the key"
        )
    missing = sorted(set(named) - columns)
    if missing:
        raise ContractError(
            f"{model}: meta.api", value=missing, allowed="columns that the model declares"
        )
