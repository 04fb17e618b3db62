"""The one type table: how a contract's field appears in StarRocks, Flink and dbt.

Instants travel as ``YYYY-MM-DDTHH:MM:SS.ffffff`` in UTC and are DATETIME in StarRocks
(which has microseconds and no zone) and TIMESTAMP(6) in Flink. JSON text travels as a JSON
string and stays STRING, because a document that StarRocks' JSON type would reformat is no longer
what the source said; ``parse_json`` in SQL reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from emdata.contracts.base import Field, Record, fields_of
from emdata.errors import ContractError

KEY_LENGTH = 1024
MAX_VARCHAR = 1_048_576
TEXT_LENGTH_FACTOR = 4  # StarRocks counts bytes; UTF-8 has at most four a character


@dataclass(frozen=True, slots=True)
class SqlTypes:
    """One column's type in each dialect; dbt uses StarRocks' name."""

    starrocks: str
    flink: str


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a raw table, in table order."""

    name: str
    types: SqlTypes
    nullable: bool
    comment: str


_SIMPLE = {
    bool: SqlTypes("BOOLEAN", "BOOLEAN"),
    int: SqlTypes("BIGINT", "BIGINT"),
    float: SqlTypes("DOUBLE", "DOUBLE"),
    date: SqlTypes("DATE", "DATE"),
    datetime: SqlTypes("DATETIME", "TIMESTAMP(6)"),
}
_INT32 = SqlTypes("INT", "INT")
_INT8 = SqlTypes("TINYINT", "TINYINT")


def _varchar(length: int) -> SqlTypes:
    return SqlTypes(f"VARCHAR({min(TEXT_LENGTH_FACTOR * length, MAX_VARCHAR)})", "STRING")


def text_bytes(field: Field) -> int:
    """Return how many bytes a text field's column holds."""
    length = MAX_VARCHAR if field.kind == "json" else field.max_length
    return min(TEXT_LENGTH_FACTOR * length, MAX_VARCHAR)


def sql_types(field: Field) -> SqlTypes:
    """Return the column types of a field.

    Raises ContractError for a base type without a row in the table.
    """
    if field.base is str:
        return SqlTypes(f"VARCHAR({text_bytes(field)})", "STRING")
    try:
        return _SIMPLE[field.base]
    except KeyError:
        raise ContractError(field.name, value=field.base, allowed="a type of the table") from None


META: tuple[Column, ...] = (
    Column(
        "accepted_on",
        _SIMPLE[date],
        False,
        "UTC day on which the buffer accepted the record",
    ),
    Column("writer", _INT32, False, "number of the stream manager that accepted the record"),
    Column("seq", _SIMPLE[int], False, "dense sequence number per writer and dataset"),
    Column("accepted_at", _SIMPLE[datetime], False, "UTC instant of acceptance"),
    Column(
        "poll_id",
        _varchar(64),
        False,
        "poll, or ingest request, that brought the record",
    ),
    Column(
        "record_key",
        _varchar(KEY_LENGTH),
        False,
        "the entity's key, fields joined by |",
    ),
    Column(
        "record_version",
        _varchar(64),
        True,
        "the source's version, in a form that sorts",
    ),
    Column(
        "content_hash",
        _varchar(32),
        False,
        "hex hash of the fields that count as content",
    ),
    Column("priority", _INT8, False, "0 CRITICAL, 1 HIGH, 2 NORMAL, 3 LOW"),
    Column("is_simulated", _SIMPLE[bool], False, "true when the simulator made the record"),
)
PRIMARY_KEY = ("accepted_on", "writer", "seq")


def comment_of(field: Field) -> str:
    """Return a column comment: the description and its unit."""
    return f"{field.doc} [{field.unit}]" if field.unit else field.doc


def columns_of(record: type[Record]) -> tuple[Column, ...]:
    """Return all columns of a contract's raw table: the envelope's, then the contract's.

    Contract columns are nullable in the table but for non-optional fields.
    Raises ContractError when a field has the name of an envelope column.
    """
    own = tuple(
        Column(field.name, sql_types(field), field.nullable, comment_of(field))
        for field in fields_of(record)
    )
    taken = {column.name for column in META}
    for column in own:
        if column.name in taken:
            raise ContractError(
                f"{record.__name__}.{column.name}",
                value=column.name,
                allowed=f"a name other than {', '.join(sorted(taken))}",
            )
    return META + own
