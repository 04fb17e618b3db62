"""Contracts and settings -> the Flink jobs to run, as data.

Pure: nothing is contacted. The plan can be printed: a placeholder stands for the password.
Landing is divided by ``Dataset.landing_group``, so that a table that refuses loads stalls neither
the alerts nor the checkpoints of other groups. Windows are divided by how long their state lives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from emdata.contracts.base import Record
from emdata.derive.flink import (
    StarRocksTarget,
    landing_group_id,
    landing_insert_sql,
    sink_table_sql,
    source_table_sql,
    starrocks_options,
    table_sql,
)
from emdata.errors import ContractError, SettingError
from emdata.settings import Settings
from emdata.transport.kafka import KafkaAddress
from emdata.warehouse_accounts import LOADER
from flink_jobs.windows import (
    HASH_LENGTH,
    WindowTable,
    window_columns,
    window_insert_sql,
    window_tables,
)

PLAN_FORMAT = 1
"""Raise it when state of running windows must not be restored although their SQL is the same."""
WINDOW_CHECKPOINT_FACTOR = 3
MINI_BATCH_LATENCY = "500 ms"
_NOWHERE = StarRocksTarget("", 0, 0, "")


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One Flink job: a statement set.

    hash: over what decides whether state can be restored (SQL and plan-affecting settings), not
    over addresses. fingerprint: over everything; the same fingerprint means nothing to do.
    datasets: whose topics are read. tables: the StarRocks tables written, without database.
    setup: statements run before ``inserts``. groups: Kafka consumer group by topic.
    """

    name: str
    kind: Literal["landing", "windows"]
    hash: str
    fingerprint: str
    datasets: tuple[str, ...]
    tables: tuple[str, ...]
    groups: dict[str, str]
    setup: tuple[str, ...]
    inserts: tuple[str, ...]
    config: dict[str, str]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs, landing first, each kind in order of name."""

    format: int
    jobs: tuple[Job, ...]


def build_plan(
    contracts: Iterable[type[Record]],
    settings: Settings,
    checkpoints: Path,
    *,
    windows: Iterable[WindowTable] | None = None,
    generations: Mapping[str, int] | None = None,
    parallelism: int = 1,
) -> Plan:
    """Return the jobs for these contracts.

    ``checkpoints`` is the directory under which Flink keeps them. ``windows`` defaults to every
    window table. ``generations`` counts, by job name, how often windows' state was given up:
    another number is another hash, and so other tables.
    Raises SettingError when topics would expire before the windows' state does, ContractError
    when a window counts a dataset that has no contract.
    """
    records = sorted(contracts, key=lambda record: record.dataset.name)
    tables = tuple(window_tables() if windows is None else windows)
    if tables and settings.kafka_window_retention_days <= settings.window_state_days:
        raise SettingError(
            "EMDATA_KAFKA_WINDOW_RETENTION_DAYS",
            value=settings.kafka_window_retention_days,
            allowed=f"more than EMDATA_WINDOW_STATE_DAYS ({settings.window_state_days})",
            fix="windows are rebuilt from these topics; keep them longer than the state",
        )
    builder = _Builder(settings, checkpoints, generations or {}, parallelism)
    landing = [builder.landing(group, members) for group, members in _by_group(records)]
    by_name = {record.dataset.name: record for record in records}
    windowed = [builder.windows(job, members, by_name) for job, members in _by_job(tables)]
    return Plan(format=PLAN_FORMAT, jobs=(*landing, *windowed))


def _by_group(records: list[type[Record]]) -> list[tuple[str, list[type[Record]]]]:
    groups: dict[str, list[type[Record]]] = {}
    for record in records:
        groups.setdefault(record.dataset.landing_group, []).append(record)
    return sorted(groups.items())


def _by_job(tables: Iterable[WindowTable]) -> list[tuple[str, list[WindowTable]]]:
    jobs: dict[str, list[WindowTable]] = {}
    for table in sorted(tables, key=lambda table: table.name):
        jobs.setdefault(table.job, []).append(table)
    return sorted(jobs.items())


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a job is made of; ``neutral`` is its setup without addresses, for the hash."""

    datasets: tuple[str, ...]
    tables: tuple[str, ...]
    groups: dict[str, str]
    neutral: tuple[str, ...]
    setup: tuple[str, ...]
    inserts: tuple[str, ...]
    plan_config: dict[str, str]


def _check_windows(
    job: str, tables: list[WindowTable], records: Mapping[str, type[Record]]
) -> None:
    for table in tables:
        if table.dataset not in records:
            raise ContractError(
                f"window {table.name}", value=table.dataset, allowed=", ".join(records)
            )
    if len({table.forever for table in tables}) > 1:
        raise ContractError(f"window job {job}", value=job, allowed="windows of one state lifetime")


class _Builder:
    def __init__(
        self,
        settings: Settings,
        checkpoints: Path,
        generations: Mapping[str, int],
        parallelism: int,
    ) -> None:
        self._settings = settings
        self._checkpoints = checkpoints
        self._generations = generations
        self._parallelism = parallelism
        self._target = StarRocksTarget(
            settings.starrocks_host,
            settings.starrocks_mysql_port,
            settings.starrocks_http_port,
            LOADER,
        )

    def landing(self, group: str, records: list[type[Record]]) -> Job:
        groups = {record.dataset.topic: landing_group_id(record) for record in records}
        names = tuple(record.dataset.name for record in records)
        parts = _Parts(
            datasets=names,
            tables=names,
            groups=groups,
            neutral=_landing_setup(records, "", _NOWHERE, groups),
            setup=_landing_setup(records, self._settings.kafka, self._target, groups),
            inserts=tuple(landing_insert_sql(record) for record in records),
            plan_config=self._plan_config(),
        )
        return self._job(f"landing-{group}", "landing", parts)

    def windows(
        self, job: str, tables: list[WindowTable], records: Mapping[str, type[Record]]
    ) -> Job:
        _check_windows(job, tables, records)
        name = f"windows-{job}"
        days = self._settings.window_state_days
        plan_config = self._plan_config() | {
            "table.exec.state.ttl": "0 ms" if tables[0].forever else f"{days} d",
            "table.exec.mini-batch.enabled": "true",
            "table.exec.mini-batch.allow-latency": MINI_BATCH_LATENCY,
            "table.exec.mini-batch.size": "5000",
        }
        inserts = tuple(window_insert_sql(t, records[t.dataset], days) for t in tables)
        generation = self._generations.get(name, 0)
        neutral = (*_window_setup(tables, records, "", _NOWHERE, {}, ""), str(generation))
        job_hash = _hash(neutral, inserts, plan_config)
        datasets = tuple(sorted({table.dataset for table in tables}))
        groups = {
            records[dataset].dataset.topic: f"emdata-{name}-{job_hash[:HASH_LENGTH]}-{dataset}"
            for dataset in datasets
        }
        kafka = self._settings.kafka
        parts = _Parts(
            datasets=datasets,
            tables=tuple(table.physical(job_hash) for table in tables),
            groups=groups,
            neutral=neutral,
            setup=_window_setup(tables, records, kafka, self._target, groups, job_hash),
            inserts=inserts,
            plan_config=plan_config,
        )
        return self._job(name, "windows", parts)

    def _job(self, name: str, kind: Literal["landing", "windows"], parts: _Parts) -> Job:
        config = parts.plan_config | self._run_config(name, kind)
        return Job(
            name=name,
            kind=kind,
            hash=_hash(parts.neutral, parts.inserts, parts.plan_config),
            fingerprint=_hash(parts.setup, parts.inserts, config),
            datasets=parts.datasets,
            tables=parts.tables,
            groups=parts.groups,
            setup=parts.setup,
            inserts=parts.inserts,
            config=config,
        )

    def _plan_config(self) -> dict[str, str]:
        """Settings that shape the operators or their state: part of the hash."""
        return {
            "execution.runtime-mode": "streaming",
            "parallelism.default": str(self._parallelism),
            "state.backend.type": "hashmap",
            "table.local-time-zone": "UTC",
            # An idle split would make its later rows late; measured to lose rows after a kill.
            "table.exec.source.idle-timeout": "0 ms",
            "table.exec.sink.not-null-enforcer": "ERROR",
            "table.exec.sink.upsert-materialize": "NONE",
        }

    def _run_config(self, name: str, kind: str) -> dict[str, str]:
        interval = self._settings.flink_checkpoint_ms
        windows = kind == "windows"
        return {
            "pipeline.name": name,
            "execution.checkpointing.interval": (
                f"{interval * WINDOW_CHECKPOINT_FACTOR if windows else interval} ms"
            ),
            "execution.checkpointing.mode": "EXACTLY_ONCE",
            "execution.checkpointing.timeout": "2 min",
            "execution.checkpointing.tolerable-failed-checkpoints": "1000",
            "execution.checkpointing.storage": "filesystem",
            "execution.checkpointing.dir": self._checkpoints.as_uri(),
            "execution.checkpointing.num-retained": "2" if windows else "1",
            "execution.checkpointing.externalized-checkpoint-retention": (
                "RETAIN_ON_CANCELLATION" if windows else "DELETE_ON_CANCELLATION"
            ),
            # Without a limit of attempts: a table may stay away for a weekend.
            "restart-strategy.type": "exponential-delay",
            "restart-strategy.exponential-delay.initial-backoff": "1 s",
            "restart-strategy.exponential-delay.max-backoff": "30 s",
            "restart-strategy.exponential-delay.backoff-multiplier": "2.0",
            "restart-strategy.exponential-delay.reset-backoff-threshold": "2 min",
            "restart-strategy.exponential-delay.jitter-factor": "0.1",
        }


def _landing_setup(
    records: list[type[Record]],
    kafka: KafkaAddress,
    target: StarRocksTarget,
    groups: Mapping[str, str],
) -> tuple[str, ...]:
    statements: list[str] = []
    for record in records:
        statements.append(source_table_sql(record, kafka, groups[record.dataset.topic]))
        statements.append(sink_table_sql(record, target))
    return tuple(statements)


def _window_setup(
    tables: list[WindowTable],
    records: Mapping[str, type[Record]],
    kafka: KafkaAddress,
    target: StarRocksTarget,
    groups: Mapping[str, str],
    job_hash: str,
) -> tuple[str, ...]:
    statements: list[str] = []
    for dataset in sorted({table.dataset for table in tables}):
        record = records[dataset]
        statements.append(
            source_table_sql(record, kafka, groups.get(record.dataset.topic, ""), committed=False)
        )
    for table in tables:
        physical = table.physical(job_hash) if job_hash else table.name
        options = starrocks_options(target, physical)
        keys = [column.name for column in table.keys]
        statements.append(table_sql(table.name, window_columns(table), options, keys))
    return tuple(statements)


def _hash(setup: tuple[str, ...], inserts: tuple[str, ...], config: dict[str, str]) -> str:
    text = msgspec.json.encode([PLAN_FORMAT, setup, inserts, sorted(config.items())])
    return hashlib.sha256(text).hexdigest()


def landing_sql(record: type[Record], settings: Settings) -> str:
    """Return the SQL that lands one dataset, for people to read."""
    target = StarRocksTarget(
        settings.starrocks_host,
        settings.starrocks_mysql_port,
        settings.starrocks_http_port,
        LOADER,
    )
    kafka = settings.kafka
    statements = (
        source_table_sql(record, kafka, landing_group_id(record)),
        sink_table_sql(record, target),
        landing_insert_sql(record),
    )
    return ";\n\n".join(statements) + ";\n"
