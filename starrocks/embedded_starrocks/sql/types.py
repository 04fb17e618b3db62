"""StarRocks' column types: how they are written, shown, and stored in DuckDB.

Source: StarRocks 3.5 documentation, "Data types".
"""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported

STRING_LENGTH = 65533
VARCHAR_MAX = 1048576
CHAR_MAX = 255

_SCALARS = {
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.INT: "INT",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.INT128: "LARGEINT",
    exp.DType.FLOAT: "FLOAT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.DATE: "DATE",
    exp.DType.DATETIME: "DATETIME",
    exp.DType.TIMESTAMP: "DATETIME",
    exp.DType.JSON: "JSON",
    exp.DType.VARBINARY: "VARBINARY",
    exp.DType.BINARY: "VARBINARY",
}
_DUCKDB = {
    "BOOLEAN": "BOOLEAN",
    "TINYINT": "TINYINT",
    "SMALLINT": "SMALLINT",
    "INT": "INTEGER",
    "BIGINT": "BIGINT",
    "LARGEINT": "HUGEINT",
    "FLOAT": "FLOAT",
    "DOUBLE": "DOUBLE",
    "DATE": "DATE",
    "DATETIME": "TIMESTAMP",
    "JSON": "JSON",
    "VARBINARY": "BLOB",
    "CHAR": "VARCHAR",
    "VARCHAR": "VARCHAR",
    # Sets are lists: of the numbers themselves, or of their hashes (see `macros_collections.py`).
    "BITMAP": "UBIGINT[]",
    "HLL": "UBIGINT[]",
}
# COLUMN_SIZE of information_schema.columns; the Flink connector compares it with its own types.
_SIZES = {
    "BOOLEAN": 1,
    "TINYINT": 3,
    "SMALLINT": 5,
    "INT": 10,
    "BIGINT": 19,
    "LARGEINT": 39,
    "FLOAT": 12,
    "DOUBLE": 22,
    "DATE": 10,
    "DATETIME": 19,
}
_SETS = ("BITMAP", "HLL")
INTEGER_BITS = {"TINYINT": 8, "SMALLINT": 16, "INT": 32, "BIGINT": 64, "LARGEINT": 128}


@dataclasses.dataclass(frozen=True)
class ColumnType:
    """One type. `name` is StarRocks' in capitals; nested types keep their parts."""

    name: str
    length: int | None = None
    precision: int | None = None
    scale: int | None = None
    parts: tuple[ColumnType, ...] = ()
    fields: tuple[str, ...] = ()

    def __deepcopy__(self, memo: dict[int, object]) -> ColumnType:
        # Types hang on nodes of trees that are copied often; a type never changes.
        return self

    def duckdb(self) -> str:
        """The DuckDB type that stores it."""
        if self.name == "DECIMAL":
            return f"DECIMAL({self.precision}, {self.scale})"
        if self.name == "ARRAY":
            return self.parts[0].duckdb() + "[]"
        if self.name == "MAP":
            return f"MAP({self.parts[0].duckdb()}, {self.parts[1].duckdb()})"
        if self.name == "STRUCT":
            inner = ", ".join(
                f'"{name}" {part.duckdb()}'
                for name, part in zip(self.fields, self.parts, strict=True)
            )
            return f"STRUCT({inner})"
        return _DUCKDB[self.name]

    def shown(self) -> str:
        """As SHOW CREATE TABLE, DESC and COLUMN_TYPE show it, in lower case."""
        if self.name in ("VARCHAR", "CHAR"):
            return f"{self.name.lower()}({self.length})"
        if self.name == "DECIMAL":
            return f"decimal({self.precision}, {self.scale})"
        if self.name == "ARRAY":
            return f"array<{self.parts[0].shown()}>"
        if self.name == "MAP":
            return f"map<{self.parts[0].shown()},{self.parts[1].shown()}>"
        if self.name == "STRUCT":
            inner = ", ".join(
                f"{name} {part.shown()}" for name, part in zip(self.fields, self.parts, strict=True)
            )
            return f"struct<{inner}>"
        return self.name.lower()

    @property
    def data_type(self) -> str:
        """DATA_TYPE of information_schema.columns."""
        if self.name == "LARGEINT":
            return "bigint unsigned"
        return self.shown() if self.parts else self.name.lower()

    @property
    def column_size(self) -> int | None:
        if self.name in ("VARCHAR", "CHAR"):
            return self.length
        if self.name == "DECIMAL":
            return self.precision
        return _SIZES.get(self.name)

    @property
    def decimal_digits(self) -> int | None:
        if self.name == "DECIMAL":
            return self.scale
        return 0 if self.name in INTEGER_BITS else None

    @property
    def is_text(self) -> bool:
        return self.name in ("VARCHAR", "CHAR")


def _parameters(kind: exp.DataType) -> list[int]:
    values = []
    for parameter in kind.expressions:
        text = parameter.name if isinstance(parameter, exp.DataTypeParam) else ""
        if not text.isdigit():
            raise semantic_error(f"type {kind.sql('starrocks')} has a parameter that is no number")
        values.append(int(text))
    return values


def _text_type(kind: exp.DataType, name: str) -> ColumnType:
    given = _parameters(kind)
    limit = CHAR_MAX if name == "CHAR" else VARCHAR_MAX
    length = given[0] if given else 1
    if not 1 <= length <= limit:
        raise semantic_error(f"{name} length {length} is not between 1 and {limit}")
    return ColumnType(name, length=length)


def _decimal_type(kind: exp.DataType) -> ColumnType:
    given = _parameters(kind)
    precision = given[0] if given else 10
    scale = given[1] if len(given) > 1 else 0
    if not 1 <= precision <= 38 or not 0 <= scale <= precision:
        raise semantic_error(f"DECIMAL({precision}, {scale}): precision 1-38, scale 0-precision")
    return ColumnType("DECIMAL", precision=precision, scale=scale)


def _nested_type(kind: exp.DataType) -> ColumnType | None:
    if kind.this == exp.DType.ARRAY and kind.expressions:
        return ColumnType("ARRAY", parts=(from_sqlglot(kind.expressions[0]),))
    if kind.this == exp.DType.MAP and len(kind.expressions) == 2:
        key, value = kind.expressions
        return ColumnType("MAP", parts=(from_sqlglot(key), from_sqlglot(value)))
    if kind.this == exp.DType.STRUCT and kind.expressions:
        return ColumnType(
            "STRUCT",
            parts=tuple(from_sqlglot(field.args["kind"]) for field in kind.expressions),
            fields=tuple(field.name for field in kind.expressions),
        )
    return None


def from_sqlglot(kind: exp.DataType) -> ColumnType:
    """The type sqlglot parsed. Raises SqlError for one this server does not keep."""
    if kind.this in _SCALARS:
        return ColumnType(_SCALARS[kind.this])
    if kind.this == exp.DType.TEXT:
        return ColumnType("VARCHAR", length=STRING_LENGTH)
    if kind.this == exp.DType.VARCHAR:
        return _text_type(kind, "VARCHAR")
    if kind.this == exp.DType.CHAR:
        return _text_type(kind, "CHAR")
    if kind.this in (exp.DType.DECIMAL, exp.DType.DECIMAL32, exp.DType.DECIMAL64):
        return _decimal_type(kind)
    if kind.this == exp.DType.HLLSKETCH:
        return ColumnType("HLL")
    if kind.this == exp.DType.USERDEFINED and str(kind.args.get("kind", "")).upper() in _SETS:
        return ColumnType(str(kind.args["kind"]).upper())
    nested = _nested_type(kind)
    if nested is None:
        raise unsupported(f"column type {kind.sql('starrocks')}")
    return nested


def from_duckdb(text: str) -> ColumnType:
    """The StarRocks type for a type that DuckDB inferred, as for a CREATE TABLE AS column."""
    upper = text.upper()
    if upper == "UBIGINT[]":
        raise unsupported("a table made from a query with a BITMAP or an HLL; create it first")
    for name, stored in _DUCKDB.items():
        if upper == stored and name not in ("CHAR", "VARCHAR"):
            return ColumnType(name)
    if upper == "VARCHAR":
        return ColumnType("VARCHAR", length=STRING_LENGTH)
    if upper.startswith("DECIMAL("):
        precision, scale = upper[8:-1].split(",")
        return ColumnType("DECIMAL", precision=int(precision), scale=int(scale))
    if upper.endswith("[]"):
        return ColumnType("ARRAY", parts=(from_duckdb(text[:-2]),))
    unsigned = {"UTINYINT": "SMALLINT", "USMALLINT": "INT", "UINTEGER": "BIGINT"}
    if upper in unsigned:
        return ColumnType(unsigned[upper])
    if upper in ("UBIGINT", "UHUGEINT"):
        return ColumnType("LARGEINT")
    if upper.startswith("TIMESTAMP"):
        return ColumnType("DATETIME")
    if upper in ('"NULL"', "NULL"):
        return ColumnType("BOOLEAN")
    raise unsupported(f"a column of DuckDB type {text}; cast it to a StarRocks type")
