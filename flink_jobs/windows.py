"""Window tables: grouped counts over the latest version of every key, kept up to date by Flink.

Each is declared once, as a ``WindowTable``; its StarRocks DDL and its Flink SQL are derived. A
late or revised record corrects the groups it belonged to, deletes included, so a window equals a
recount of the latest versions at any time when nothing is on the way.

Two rules keep a window from ever showing a number that is wrong:

* State has a declared time to live. A record that is accepted later than ``correction_days``
  after its own event time is left out, because the state it would correct may be gone; a dbt
  model recounts older windows from the raw rows. Tables with ``forever`` keep their state, which
  is only right where the number of keys is small.
* Which rows count is decided by the record alone (never by the clock), so a rebuild from Kafka
  gives the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from emdata.contracts.base import Record
from emdata.derive.flink import FlinkColumn, quote, source_name
from emdata.derive.starrocks import RAW_DATABASE
from emdata.derive.starrocks import quote as starrocks_quote
from emdata.derive.starrocks import text as starrocks_text
from emdata.derive.types import SqlTypes

UNKNOWN = "Unknown"
"""Stands for a missing value in a window's key, which cannot be NULL."""
HASH_LENGTH = 8

_BIGINT = SqlTypes("BIGINT", "BIGINT")
_DATE = SqlTypes("DATE", "DATE")
_DATETIME = SqlTypes("DATETIME", "TIMESTAMP(6)")
_DOUBLE = SqlTypes("DOUBLE", "DOUBLE")
_TOTAL = SqlTypes("DECIMAL(38, 6)", "DECIMAL(38, 6)")


def _text(length: int) -> SqlTypes:
    return SqlTypes(f"VARCHAR({length})", "STRING")


@dataclass(frozen=True, slots=True)
class WindowColumn:
    """A column of a window table and the Flink expression over the latest rows that fills it."""

    name: str
    types: SqlTypes
    expression: str
    comment: str


@dataclass(frozen=True, slots=True)
class WindowTable:
    """One window table.

    name: the view's name in ``raw_data``. dataset: whose records are counted. job: windows with
    the same job share one Flink job and one state. where: which latest rows count. event_time:
    the instant that a correction's age is measured from; None keeps the state forever.
    first_seen: adds the column ``first_seen_at``, the earliest acceptance of any version.
    """

    name: str
    dataset: str
    job: str
    comment: str
    keys: tuple[WindowColumn, ...]
    measures: tuple[WindowColumn, ...]
    where: str = ""
    event_time: str | None = None
    first_seen: bool = False

    @property
    def forever(self) -> bool:
        """Whether the state of this window never expires."""
        return self.event_time is None

    @property
    def time_key(self) -> str:
        """The key column that holds the window's hour or day."""
        return next(c.name for c in self.keys if c.types.starrocks in {"DATE", "DATETIME"})

    def physical(self, job_hash: str) -> str:
        """The table that a job with this hash writes."""
        return f"{self.name}__{job_hash[:HASH_LENGTH]}"


def _alerts_hourly() -> WindowTable:
    return WindowTable(
        name="alerts_hourly",
        dataset="nws_alert_zones",
        job="alerts",
        comment=(
            "Weather alert messages issued per UTC hour of sending, event, state and severity. "
            "Counts distinct message ids with status Actual that do not close an alert; a message "
            "for several states counts once in each."
        ),
        keys=(
            WindowColumn(
                "window_start", _DATETIME, "FLOOR(`sent_at` TO HOUR)", "UTC hour of sent_at"
            ),
            # Keys are cut so that the encoded primary key stays within StarRocks' 128 bytes.
            WindowColumn("event", _text(80), _key_text("event", 80), "event, such as Flood Watch"),
            WindowColumn(
                "state", _text(8), _key_text("state", 8), "two-letter state or marine area"
            ),
            WindowColumn("severity", _text(16), _key_text("severity", 16), "CAP severity"),
        ),
        measures=(
            WindowColumn(
                "alert_count", _BIGINT, "COUNT(DISTINCT `alert_id`)", "distinct messages issued"
            ),
        ),
        where="`status` = 'Actual' AND `is_closing` IS NOT TRUE",
        event_time="sent_at",
    )


def _disaster_keys() -> tuple[WindowColumn, ...]:
    return (
        WindowColumn(
            "declaration_type",
            _text(8),
            _key_text("declaration_type", 8),
            "DR major disaster, EM emergency, FM fire management, FS fire suppression",
        ),
        WindowColumn("state", _text(8), _key_text("state", 8), "two-letter state or territory"),
    )


def _disaster_measures() -> tuple[WindowColumn, ...]:
    return (
        WindowColumn(
            "declaration_count",
            _BIGINT,
            "COUNT(DISTINCT `disaster_number`)",
            "distinct declarations",
        ),
        WindowColumn("area_count", _BIGINT, "COUNT(*)", "areas named in those declarations"),
    )


def _disaster_alerts_hourly() -> WindowTable:
    return WindowTable(
        name="disaster_alerts_hourly",
        dataset="fema_disaster_declarations",
        job="disasters",
        comment=(
            "FEMA declarations per UTC hour in which each area was first accepted by this "
            "platform, by current type and state."
        ),
        keys=(
            WindowColumn(
                "window_start",
                _DATETIME,
                "FLOOR(`first_seen_at` TO HOUR)",
                "UTC hour of the earliest acceptance of any version",
            ),
            *_disaster_keys(),
        ),
        measures=_disaster_measures(),
        first_seen=True,
    )


def _disaster_alerts_daily() -> WindowTable:
    return WindowTable(
        name="disaster_alerts_daily",
        dataset="fema_disaster_declarations",
        job="disasters",
        comment="FEMA declarations per calendar day of declaration, type and state.",
        keys=(
            WindowColumn("declared_on", _DATE, "`declared_on`", "calendar day of declaration"),
            *_disaster_keys(),
        ),
        measures=_disaster_measures(),
        where="`declared_on` IS NOT NULL",
    )


def _weather_station_daily() -> WindowTable:
    return WindowTable(
        name="weather_station_daily",
        dataset="coagmet_hourly_observations",
        job="weather",
        comment=(
            "Weather per CoAgMet station and day of local standard time (UTC-7 all year). An "
            "observation is labeled with the end of its hour, so the one at 00:00 belongs to the "
            "day before. Sums and means are exact decimal sums of values rounded to 4 places."
        ),
        keys=(
            WindowColumn("station_id", _text(64), "`station_id`", "CoAgMet station"),
            WindowColumn(
                "observed_on",
                _DATE,
                # 7 h to standard time and 1 s because the label is the end of the hour.
                "CAST(TIMESTAMPADD(SECOND, -25201, `observed_at`) AS DATE)",
                "day of local standard time, UTC-7",
            ),
        ),
        measures=(
            WindowColumn("observation_count", _BIGINT, "COUNT(*)", "hourly observations counted"),
            *_temperature_measures(),
            WindowColumn(
                "precipitation_mm",
                _DOUBLE,
                f"CAST({_exact_sum('precipitation_mm')} AS DOUBLE)",
                "precipitation, sum [mm]",
            ),
            WindowColumn(
                "wind_gust_max_m_s", _DOUBLE, "MAX(`wind_gust_m_s`)", "highest gust [m/s]"
            ),
        ),
        event_time="observed_at",
    )


def _temperature_measures() -> tuple[WindowColumn, ...]:
    field = "air_temperature_c"
    mean = f"CAST({_exact_sum(field)} AS DOUBLE) / NULLIF(COUNT(`{field}`), 0)"
    return (
        WindowColumn("air_temperature_min_c", _DOUBLE, f"MIN(`{field}`)", "lowest [Cel]"),
        WindowColumn("air_temperature_mean_c", _DOUBLE, mean, "mean of hourly values [Cel]"),
        WindowColumn("air_temperature_max_c", _DOUBLE, f"MAX(`{field}`)", "highest [Cel]"),
    )


def _aggregated_emission() -> WindowTable:
    return WindowTable(
        name="aggregated_emission",
        dataset="emission",
        job="emissions",
        comment=(
            "Emissions per organization and UTC month in which each was first accepted by this "
            "platform. Sums the latest version of every emission, as exact decimals."
        ),
        keys=(
            WindowColumn(
                "organization_id", _text(64), "`organization_id`", "organization that reports"
            ),
            WindowColumn(
                "month",
                _DATE,
                "CAST(FLOOR(`first_seen_at` TO MONTH) AS DATE)",
                "first day of the UTC month of the earliest acceptance of any version",
            ),
        ),
        measures=(
            WindowColumn(
                "total",
                _TOTAL,
                # The contract admits nothing that this decimal cannot hold.
                "SUM(CAST(`value` AS DECIMAL(15, 6)))",
                "exact sum of the values, in the organization's unit",
            ),
            WindowColumn("emission_count", _BIGINT, "COUNT(*)", "emissions summed"),
        ),
        first_seen=True,
    )


def _exact_sum(field: str) -> str:
    # A running DOUBLE sum drifts when corrections subtract what was added; decimals do not.
    return f"SUM(CAST({quote(field)} AS DECIMAL(14, 4)))"


def _key_text(field: str, length: int) -> str:
    return f"COALESCE(LEFT({quote(field)}, {length}), '{UNKNOWN}')"


def window_tables() -> tuple[WindowTable, ...]:
    """Return every window table."""
    return (
        _alerts_hourly(),
        _disaster_alerts_hourly(),
        _disaster_alerts_daily(),
        _weather_station_daily(),
        _aggregated_emission(),
    )


def windowed_datasets() -> frozenset[str]:
    """Return the datasets whose topics must outlive the windows' state."""
    return frozenset(table.dataset for table in window_tables())


def endless_datasets() -> frozenset[str]:
    """Return the datasets whose topics must never expire: their windows count all history."""
    return frozenset(table.dataset for table in window_tables() if table.forever)


def correction_days(state_days: int) -> int:
    """Return how many days after its event time a record may still correct a window.

    One day less than the state lives, so that state is never gone when a record is on the way.
    """
    return max(1, state_days - 1)


def window_columns(table: WindowTable) -> tuple[FlinkColumn, ...]:
    """Return the columns of the Flink sink; keys are NOT NULL."""
    keys = tuple(FlinkColumn(c.name, c.types.flink, nullable=False) for c in table.keys)
    return keys + tuple(FlinkColumn(c.name, c.types.flink) for c in table.measures)


def window_insert_sql(table: WindowTable, record: type[Record], state_days: int) -> str:
    """Return the INSERT that keeps a window table up to date; its sink is named after it."""
    columns = (*table.keys, *table.measures)
    selected = ",\n  ".join(f"{column.expression} AS {quote(column.name)}" for column in columns)
    names = ", ".join(quote(column.name) for column in columns)
    grouped = ", ".join(column.expression for column in table.keys)
    where = f"\nWHERE {table.where}" if table.where else ""
    return (
        f"INSERT INTO {quote(table.name)} ({names})\nSELECT\n  {selected}\n"
        f"FROM (\n{_latest_sql(table, record, state_days)}\n){where}\nGROUP BY {grouped}"
    )


def _latest_sql(table: WindowTable, record: type[Record], state_days: int) -> str:
    source = quote(source_name(record))
    bound = ""
    if table.event_time is not None:
        days = correction_days(state_days)
        event = quote(table.event_time)
        bound = f" WHERE `accepted_at` < TIMESTAMPADD(DAY, {days}, {event})"
    latest = (
        "SELECT * FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY `record_key` "
        "ORDER BY `record_version` DESC, `seq` DESC, `writer` DESC) AS `version_rank` "
        f"FROM {source}{bound}) WHERE `version_rank` = 1"
    )
    if not table.first_seen:
        return latest
    return (
        f"SELECT `latest`.*, `first`.`first_seen_at` FROM ({latest}) AS `latest`\n"
        "JOIN (SELECT `record_key`, MIN(`accepted_at`) AS `first_seen_at` "
        f"FROM {source} GROUP BY `record_key`) AS `first`\n"
        "ON `latest`.`record_key` = `first`.`record_key`"
    )


def window_table_ddl(table: WindowTable, job_hash: str, *, replication: int = 1) -> str:
    """Return CREATE TABLE of the physical table that a job with this hash writes."""
    keys = [f"{_column(c)} NOT NULL COMMENT {starrocks_text(c.comment)}" for c in table.keys]
    rest = [f"{_column(c)} NULL COMMENT {starrocks_text(c.comment)}" for c in table.measures]
    body = ",\n  ".join([*keys, *rest])
    key = ", ".join(starrocks_quote(c.name) for c in table.keys)
    return (
        f"CREATE TABLE IF NOT EXISTS {RAW_DATABASE}.{table.physical(job_hash)} (\n  {body}\n)\n"
        f"PRIMARY KEY ({key})\nCOMMENT {starrocks_text(table.comment)}\n"
        f"DISTRIBUTED BY HASH({key}) BUCKETS 1\n"
        f'PROPERTIES ("replication_num" = "{replication}")'
    )


def window_view_ddl(table: WindowTable, job_hash: str) -> str:
    """Return the view, named like the window, that shows the physical table."""
    columns = ", ".join(starrocks_quote(c.name) for c in (*table.keys, *table.measures))
    return (
        f"CREATE OR REPLACE VIEW {RAW_DATABASE}.{table.name}\n"
        f"COMMENT {starrocks_text(table.comment)}\n"
        f"AS SELECT {columns} FROM {RAW_DATABASE}.{table.physical(job_hash)}"
    )


def _column(column: WindowColumn) -> str:
    return f"{starrocks_quote(column.name)} {column.types.starrocks}"
