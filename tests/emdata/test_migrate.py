"""Contracts against the warehouse: only additive changes, everything else refused by name."""

from __future__ import annotations

import pytest

from emdata.contracts.base import Dataset, Record, UtcDatetime
from emdata.derive.starrocks import raw_table_ddl
from emdata.derive.topics import topic_specs
from emdata.derive.types import columns_of
from emdata.errors import ContractError
from emdata.migrate import plan_changes

NEW = Dataset(
    name="made_things", source="made", domain="test", title='Things "quoted"', key=("thing_id",),
    event_time="at", fresh_within="1h", terms="none",
)  # fmt: skip


class Before(Record, frozen=True, kw_only=True):
    """As the table was made."""

    thing_id: str
    at: UtcDatetime
    dataset = NEW


class Wider(Before, frozen=True, kw_only=True):
    """With a field more, which may be absent."""

    note: str | None = None


class Stricter(Before, frozen=True, kw_only=True):
    """With a field more that must be there."""

    note: str


class Other(Record, frozen=True, kw_only=True):
    """With another type."""

    thing_id: int
    at: UtcDatetime
    dataset = NEW


def table_of(record: type[Record]) -> dict[str, dict[str, str]]:
    return {"made_things": {c.name: c.types.starrocks.lower() for c in columns_of(record)}}


def test_a_new_dataset_is_created() -> None:
    (change,) = plan_changes([Before], {})
    assert change.statement == raw_table_ddl(Before)
    assert "PRIMARY KEY (accepted_on, writer, seq)" in change.statement
    assert 'COMMENT "Things \\"quoted\\""' in change.statement


def test_nothing_changes_when_the_table_is_as_declared() -> None:
    assert plan_changes([Before], table_of(Before)) == []


def test_a_new_nullable_field_is_added() -> None:
    (change,) = plan_changes([Wider], table_of(Before))
    assert change.statement == (
        "ALTER TABLE raw_data.made_things ADD COLUMN `note` VARCHAR(1024) NULL"
    )


def test_a_new_field_that_must_be_there_is_refused() -> None:
    with pytest.raises(ContractError, match=r"made_things\.note.*nullable.*_v2"):
        plan_changes([Stricter], table_of(Before))


def test_another_type_is_refused_by_name() -> None:
    with pytest.raises(ContractError, match=r"made_things\.thing_id.*varchar.*bigint.*_v2"):
        plan_changes([Other], table_of(Before))


@pytest.mark.parametrize(
    ("column", "spelled"),
    [("writer", "int(11)"), ("seq", "bigint(20)"), ("is_simulated", "tinyint(1)"),
     ("priority", "tinyint(4)"), ("thing_id", "string"), ("at", "datetime")],
)  # fmt: skip
def test_a_server_s_spelling_of_a_type_is_no_difference(column: str, spelled: str) -> None:
    found = table_of(Before)
    found["made_things"][column] = spelled
    assert plan_changes([Before], found) == []


def test_a_column_that_a_contract_no_longer_has_is_left_alone() -> None:
    assert plan_changes([Before], table_of(Wider)) == []


def test_topics_of_windows_outlive_the_others() -> None:
    (kept,) = topic_specs(
        [Before], partitions=2, retention_hours=24, window_retention_days=60,
        windowed=frozenset({"made_things"}),
    )  # fmt: skip
    (plain,) = topic_specs(
        [Before], partitions=2, retention_hours=24, window_retention_days=60, windowed=frozenset()
    )
    assert (plain.name, plain.partitions) == ("test-made-things", 2)
    assert int(kept.config["retention.ms"]) == 60 * 24 * 3_600_000
    assert int(plain.config["retention.ms"]) == 24 * 3_600_000
    assert int(plain.config["max.message.bytes"]) == 4 * 1024 * 1024
