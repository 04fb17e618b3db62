"""Contract -> Flink SQL: the Kafka source, the StarRocks sink and the landing INSERT.

Pure text. The password never stands in it: ``PASSWORD_PLACEHOLDER`` does, and whoever submits
the statements puts the password in. Every identifier is quoted, because contracts may use words
that Flink reserves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emdata.contracts.base import Record
from emdata.derive.starrocks import RAW_DATABASE
from emdata.derive.types import PRIMARY_KEY, columns_of
from emdata.transport.kafka import KafkaAddress, servers_of

PASSWORD_PLACEHOLDER = "${STARROCKS_PASSWORD}"  # noqa: S105 (stands for one)
PARTITION_DISCOVERY = "60 s"
FLUSH_INTERVAL_MS = 1000
"""The connector's minimum; a checkpoint flushes as well, whichever comes first."""


@dataclass(frozen=True, slots=True)
class FlinkColumn:
    """One column of a Flink table."""

    name: str
    type: str
    nullable: bool = True

    @property
    def sql(self) -> str:
        """The column's definition."""
        return f"{quote(self.name)} {self.type}{'' if self.nullable else ' NOT NULL'}"


@dataclass(frozen=True, slots=True)
class StarRocksTarget:
    """Where sinks write: the front end's MySQL port (planning) and HTTP port (loads)."""

    host: str
    mysql_port: int
    http_port: int
    user: str


def quote(name: str) -> str:
    """Quote an identifier with backticks."""
    return "`" + name.replace("`", "``") + "`"


def literal(value: str) -> str:
    """Quote a string literal."""
    return "'" + value.replace("'", "''") + "'"


def table_sql(
    name: str,
    columns: Sequence[FlinkColumn],
    options: Mapping[str, str],
    key: Sequence[str] = (),
) -> str:
    """Return CREATE TEMPORARY TABLE with options, and a primary key that Flink does not check."""
    lines = [column.sql for column in columns]
    if key:
        lines.append(f"PRIMARY KEY ({', '.join(quote(k) for k in key)}) NOT ENFORCED")
    body = ",\n  ".join(lines)
    settings = ",\n  ".join(f"{literal(k)} = {literal(v)}" for k, v in options.items())
    return f"CREATE TEMPORARY TABLE {quote(name)} (\n  {body}\n) WITH (\n  {settings}\n)"


def kafka_options(
    topic: str, kafka: KafkaAddress, group: str, *, committed: bool
) -> dict[str, str]:
    """Return the options of a Kafka source.

    ``committed`` starts from the group's committed offsets (earliest without any); otherwise
    from the earliest offset. A value that is not JSON of the declared types fails the job: a
    silent NULL would be a wrong number downstream. Fields may be absent, because older records
    in a topic lack the columns added since.
    """
    security = {} if isinstance(kafka, str) else kafka.flink()
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": servers_of(kafka),
        **{f"properties.{name}": value for name, value in security.items()},
        "properties.group.id": group,
        "properties.auto.offset.reset": "earliest",
        "properties.client.id.prefix": group,
        "scan.startup.mode": "group-offsets" if committed else "earliest-offset",
        "scan.topic-partition-discovery.interval": PARTITION_DISCOVERY,
        "value.format": "json",
        "value.json.timestamp-format.standard": "ISO-8601",
        "value.json.fail-on-missing-field": "false",
        "value.json.ignore-parse-errors": "false",
    }


def starrocks_options(target: StarRocksTarget, table: str) -> dict[str, str]:
    """Return the options of a StarRocks sink on ``raw_data.<table>``.

    At least once: every table has a primary key, so that a repeated load changes nothing.
    """
    return {
        "connector": "starrocks",
        "jdbc-url": f"jdbc:mysql://{target.host}:{target.mysql_port}"
        "?useSSL=false&connectTimeout=5000&socketTimeout=30000",
        "load-url": f"{target.host}:{target.http_port}",
        "database-name": RAW_DATABASE,
        "table-name": table,
        "username": target.user,
        "password": PASSWORD_PLACEHOLDER,
        # The connector's older sink flushes when it is closed, and waits forever when it was
        # canceled before it had opened; Flink then kills the TaskManager after 180 s.
        "sink.use.new-sink-api": "true",
        "sink.semantic": "at-least-once",
        "sink.at-least-once.use-transaction-stream-load": "false",
        "sink.properties.format": "json",
        "sink.properties.strip_outer_array": "true",
        "sink.buffer-flush.interval-ms": str(FLUSH_INTERVAL_MS),
        "sink.connect.timeout-ms": "5000",
        "sink.max-retries": "3",
    }


def source_columns(record: type[Record]) -> tuple[FlinkColumn, ...]:
    """Return a contract's columns as the topic's values hold them, all nullable for Flink.

    Nullability is checked at the sink, where a NULL fails the job with the column's name.
    """
    return tuple(FlinkColumn(c.name, c.types.flink) for c in columns_of(record))


def source_name(record: type[Record]) -> str:
    """Return the Flink name of a dataset's Kafka table."""
    return f"{record.dataset.name}__topic"


def sink_name(record: type[Record]) -> str:
    """Return the Flink name of a dataset's raw table."""
    return f"{record.dataset.name}__raw"


def landing_group_id(record: type[Record]) -> str:
    """Return the Kafka consumer group that lands a dataset."""
    return f"emdata-landing-{record.dataset.name}"


def source_table_sql(
    record: type[Record], kafka: KafkaAddress, group: str, *, committed: bool = True
) -> str:
    """Return the Kafka source table of a dataset."""
    options = kafka_options(record.dataset.topic, kafka, group, committed=committed)
    return table_sql(source_name(record), source_columns(record), options)


def sink_table_sql(record: type[Record], target: StarRocksTarget) -> str:
    """Return the StarRocks sink table of a dataset's raw table."""
    columns = [FlinkColumn(c.name, c.types.flink, c.nullable) for c in columns_of(record)]
    options = starrocks_options(target, record.dataset.name)
    return table_sql(sink_name(record), columns, options, PRIMARY_KEY)


def landing_insert_sql(record: type[Record]) -> str:
    """Return the INSERT that lands a dataset, columns named on both sides."""
    names = ", ".join(quote(column.name) for column in columns_of(record))
    return (
        f"INSERT INTO {quote(sink_name(record))} ({names})\n"
        f"SELECT {names}\nFROM {quote(source_name(record))}"
    )
