"""CREATE TABLE as StarRocks writes it, read into a Relation."""

from __future__ import annotations

import dataclasses

from sqlglot import exp

from embedded_starrocks.errors import semantic_error, unsupported
from embedded_starrocks.sql.partitiondefs import with_partitions
from embedded_starrocks.sql.rowexpr import parse_row_expression
from embedded_starrocks.sql.tablechecks import check_columns, check_table, check_values
from embedded_starrocks.sql.tablewords import TableWords
from embedded_starrocks.sql.types import from_sqlglot
from embedded_starrocks.storage.metadata import Column, Relation, is_valid_name


@dataclasses.dataclass
class _Clauses:
    """The clauses behind the column list."""

    key_model: str = ""
    keys: tuple[str, ...] = ()
    comment: str = ""
    partition_by: str = ""
    distributed_by: str = ""
    order_by: str = ""
    refresh: str = ""
    properties: dict[str, str] = dataclasses.field(default_factory=dict)


def sql_text(node: exp.Expr) -> str:
    """Canonical StarRocks SQL of a clause."""
    return node.sql(dialect="starrocks", normalize_functions="lower", comments=False)


def check_name(name: str) -> str:
    if not is_valid_name(name):
        raise semantic_error(f"Incorrect name '{name}': letters, digits and _, not __starrocks...")
    return name


def column_from(definition: exp.ColumnDef) -> Column:
    """One column definition. Raises SqlError for what is not supported on a column."""
    kind = definition.args.get("kind")
    if kind is None:
        raise semantic_error(f"column '{definition.name}' has no type")
    nullable, default, comment, auto_increment = True, None, "", False
    for constraint in definition.constraints:
        detail = constraint.kind
        if isinstance(detail, exp.NotNullColumnConstraint):
            nullable = bool(detail.args.get("allow_null"))
        elif isinstance(detail, exp.DefaultColumnConstraint):
            default = _default(detail.this)
        elif isinstance(detail, exp.CommentColumnConstraint):
            comment = detail.this.name
        elif isinstance(detail, exp.AutoIncrementColumnConstraint):
            auto_increment = True
        else:
            raise unsupported(f"'{sql_text(detail)}' on column '{definition.name}'")
    if auto_increment and from_sqlglot(kind).name != "BIGINT":
        raise semantic_error(f"The AUTO_INCREMENT column '{definition.name}' must be BIGINT")
    return Column(
        name=check_name(definition.name),
        type=from_sqlglot(kind),
        # StarRocks makes such a column NOT NULL whatever is said.
        nullable=nullable and not auto_increment,
        default=default,
        comment=comment,
        auto_increment=auto_increment,
    )


def _default(value: exp.Expr) -> str | None:
    if isinstance(value, exp.Null):
        return None
    if isinstance(value, exp.Literal):
        return str(value.this)
    if isinstance(value, exp.Neg) and isinstance(value.this, exp.Literal):
        return f"-{value.this.this}"
    if isinstance(value, exp.CurrentTimestamp):
        return "CURRENT_TIMESTAMP"
    if isinstance(value, exp.Boolean):
        return "true" if value.this else "false"
    raise unsupported(f"DEFAULT {sql_text(value)}")


def clauses_of(create: exp.Create) -> _Clauses:
    """The clauses of a CREATE TABLE or CREATE MATERIALIZED VIEW."""
    found = _Clauses()
    properties = create.args.get("properties")
    parts = list(properties.expressions) if properties else []
    if isinstance(create.this, exp.Schema):
        parts += [part for part in create.this.expressions if isinstance(part, exp.PrimaryKey)]
    for part in parts:
        _read_clause(found, part)
    return found


_PARTITIONS = (
    exp.PartitionedByProperty,
    exp.PartitionByRangeProperty,
    exp.PartitionByListProperty,
)


def _read_clause(found: _Clauses, part: exp.Expr) -> None:
    if isinstance(part, exp.PrimaryKey):
        _set_keys(found, "PRIMARY", part)
        _primary_key_tail(found, part)
    elif isinstance(part, exp.DuplicateKeyProperty):
        _set_keys(found, "DUPLICATE", part)
    elif isinstance(part, exp.UniqueKeyProperty):
        _set_keys(found, "UNIQUE", part)
    elif isinstance(part, exp.AggregateKeyProperty):
        _set_keys(found, "AGGREGATE", part)
    elif isinstance(part, exp.SchemaCommentProperty):
        found.comment = part.this.name
    elif isinstance(part, _PARTITIONS):
        found.partition_by = sql_text(part).removeprefix("PARTITION BY ")
    elif isinstance(part, exp.DistributedByProperty):
        _distribution(found, part)
    elif isinstance(part, exp.Order):
        found.order_by = sql_text(part).removeprefix("ORDER BY ").strip()
    elif isinstance(part, exp.RefreshTriggerProperty):
        found.refresh = sql_text(part).removeprefix("REFRESH ")
    else:
        _read_property(found, part)


def _read_property(found: _Clauses, part: exp.Expr) -> None:
    if isinstance(part, exp.EngineProperty):
        if part.this.name.upper() != "OLAP":
            raise unsupported(f"ENGINE={part.this.name}")
    elif type(part) is exp.Property:
        found.properties[part.this.name] = part.args["value"].name
    elif not isinstance(part, exp.MaterializedProperty | exp.SqlSecurityProperty):
        raise unsupported(f"clause {sql_text(part)[:80]}")


def _set_keys(found: _Clauses, model: str, part: exp.Expr) -> None:
    if found.key_model:
        raise semantic_error("a table has one key clause only")
    found.key_model = model
    found.keys = tuple(key.name for key in part.expressions)


def _primary_key_tail(found: _Clauses, part: exp.PrimaryKey) -> None:
    """What sqlglot's parser attaches to PRIMARY KEY though it belongs to the table."""
    for option in part.args.get("options") or []:
        comment = option.args.get("comment") if isinstance(option, exp.Expr) else None
        if comment is None:
            raise unsupported(f"'{option}' behind PRIMARY KEY")
        found.comment = comment.name
    include = part.args.get("include")
    partition = include.args.get("partition_by") if include is not None else None
    if partition:
        found.partition_by = ", ".join(sql_text(item) for item in partition)


def _distribution(found: _Clauses, part: exp.DistributedByProperty) -> None:
    order = part.args.get("order")
    if order is not None:
        found.order_by = sql_text(order).strip().removeprefix("ORDER BY ").strip()
    columns = ", ".join(sql_text(column) for column in part.expressions)
    kind = part.args["kind"]
    found.distributed_by = f"HASH({columns})" if str(kind).upper() == "HASH" else "RANDOM"
    buckets = part.args.get("buckets")
    if buckets is not None:
        found.distributed_by += f" BUCKETS {buckets.name}"


def columns_of(create: exp.Create) -> tuple[Column, ...]:
    if not isinstance(create.this, exp.Schema):
        return ()
    words = create.meta.get("table_words")
    found = [
        column_from(part) for part in create.this.expressions if isinstance(part, exp.ColumnDef)
    ]
    return tuple(with_words(column, words) for column in found)


def with_words(column: Column, words: TableWords | None) -> Column:
    """The column with its aggregate and its generating expression, as canonical SQL."""
    if words is None:
        return column
    name = column.name.lower()
    generated = words.generated.get(name, "")
    if generated:
        if not column.nullable or column.default is not None or column.auto_increment:
            raise semantic_error(
                f"Generated column '{column.name}' takes no NOT NULL, DEFAULT or AUTO_INCREMENT"
            )
        generated = sql_text(parse_row_expression(generated))
    aggregate = words.aggregates.get(name, "")
    if aggregate == "PERCENTILE_UNION":
        raise unsupported(f"aggregate {aggregate} of column '{column.name}'")
    return dataclasses.replace(column, aggregate=aggregate, generated=generated)


def relation_from(create: exp.Create, db: str, name: str, columns: tuple[Column, ...]) -> Relation:
    """The table that a CREATE TABLE describes. Raises SqlError for a contradiction."""
    clauses = clauses_of(create)
    words = create.meta.get("table_words")
    if words is not None and words.partition_by:
        clauses.partition_by = words.partition_by
    check_columns(columns)
    model = clauses.key_model or "DUPLICATE"
    keys = clauses.keys or _default_keys(columns)
    _check_keys(model, keys, columns)
    check_values(model, keys, columns)
    keys = tuple(column.name for column in columns[: len(keys)])
    if model == "PRIMARY":
        columns = tuple(
            dataclasses.replace(column, nullable=False) if column.name in keys else column
            for column in columns
        )
    properties = {"replication_num": "1", **clauses.properties}
    relation = Relation(
        db=db,
        name=check_name(name),
        kind="TABLE",
        columns=columns,
        key_model=model,
        keys=keys,
        comment=clauses.comment,
        partition_by=clauses.partition_by,
        distributed_by=clauses.distributed_by or default_distribution(model, keys),
        order_by=clauses.order_by,
        properties=tuple(sorted(properties.items())),
    )
    relation = with_partitions(relation)
    check_table(relation)
    return relation


def default_distribution(model: str, keys: tuple[str, ...]) -> str:
    """Where nothing is said; "" where StarRocks has no default."""
    if model == "PRIMARY":
        return f"HASH({', '.join(keys)})"
    return "RANDOM" if model == "DUPLICATE" else ""


_NO_KEY = ("FLOAT", "DOUBLE", "JSON", "ARRAY", "MAP", "STRUCT", "VARBINARY", "BITMAP", "HLL")


def _default_keys(columns: tuple[Column, ...]) -> tuple[str, ...]:
    """StarRocks' choice for a table without a key clause: up to three leading sortable columns."""
    keys: list[str] = []
    for column in columns[:3]:
        if column.type.name in _NO_KEY:
            break
        keys.append(column.name)
        if column.type.is_text:
            break
    return tuple(keys)


def _check_keys(model: str, keys: tuple[str, ...], columns: tuple[Column, ...]) -> None:
    for position, key in enumerate(keys):
        column = next((each for each in columns if each.name.lower() == key.lower()), None)
        if column is None:
            raise semantic_error(f"Key column '{key}' doesn't exist in the table")
        if column.type.name in _NO_KEY:
            raise semantic_error(f"Key column '{key}' can't be of type {column.type.shown()}")
        if columns[position].name.lower() != key.lower():
            raise semantic_error(
                "Key columns should be a ordered prefix of the schema: "
                f"'{columns[position].name}' stands where '{key}' is expected ({model} KEY)"
            )
