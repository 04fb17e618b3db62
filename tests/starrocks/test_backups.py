"""BACKUP and RESTORE: every type comes back, only below `backups`, only for those who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded_starrocks.errors import SqlError
from tests.starrocks.conftest import Statements

pytestmark = pytest.mark.integration

TABLE = (
    "CREATE TABLE t (k INT, l LARGEINT, j JSON, a ARRAY<LARGEINT>, m MAP<VARCHAR(5),INT>, "
    "s STRUCT<x INT, y VARCHAR(5)>, c DECIMAL(20,5), dt DATETIME, d DATE, b BOOLEAN, f DOUBLE) "
    "DUPLICATE KEY(k) PARTITION BY RANGE(k) (START('0') END ('10') EVERY (5)) "
    "DISTRIBUTED BY HASH(k)"
)
BIG = 2**127 - 1
ROWS = (
    f"INSERT INTO t VALUES (1, {BIG}, parse_json('{{\"b\": 1}}'), [1, NULL, {BIG}], map{{'a':1}}, "
    "row(1,'x'), 1.23456, '2026-01-01 01:02:03.123456', '2026-01-01', true, 1.5), "
    "(7, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"
)


@pytest.fixture
def base(tmp_path: Path) -> Iterator[Statements]:
    found = Statements(tmp_path)
    found("CREATE DATABASE d; USE d")
    found(TABLE)
    found(ROWS)
    found("CREATE TABLE n (id BIGINT AUTO_INCREMENT, v INT) PRIMARY KEY(id)")
    found("INSERT INTO n(v) VALUES (1), (2)")
    found("CREATE TABLE u (k INT, u BITMAP BITMAP_UNION) AGGREGATE KEY(k) DISTRIBUTED BY HASH(k)")
    found("INSERT INTO u VALUES (1, to_bitmap(5))")
    found('CREATE REPOSITORY r WITH BROKER ON LOCATION "file://backups/main"')
    yield found
    found.close()


def stamp(base: Statements, name: str = "s") -> str:
    ((timestamp,),) = [row[1:2] for row in base(f"SHOW SNAPSHOT ON r WHERE SNAPSHOT = '{name}'")]
    return str(timestamp)


def restored(base: Statements, rest: str = "") -> None:
    base(f"RESTORE SNAPSHOT d.s FROM r {rest} PROPERTIES ('backup_timestamp' = '{stamp(base)}')")


def test_a_restored_database_is_the_one_that_was_backed_up(base: Statements) -> None:
    before = [base(f"SELECT * FROM {table} ORDER BY 1") for table in ("t", "n")]
    shown = base("SHOW CREATE TABLE t")
    base("BACKUP SNAPSHOT d.s TO r")
    base("INSERT INTO t (k) VALUES (2); DELETE FROM n WHERE id = 1; DROP TABLE u FORCE")
    restored(base)
    assert [base(f"SELECT * FROM {table} ORDER BY 1") for table in ("t", "n")] == before
    assert base("SELECT k, bitmap_to_string(u) FROM u") == [(1, "5")]
    assert base("SHOW CREATE TABLE t") == shown
    base("INSERT INTO n(v) VALUES (3)")
    assert base("SELECT id FROM n ORDER BY id") == [(1,), (2,), (3,)]
    assert base("SHOW BACKUP")[0][3] == "FINISHED"
    assert base("SHOW RESTORE")[0][4] == "FINISHED"


def test_a_table_is_restored_under_another_name(base: Statements) -> None:
    base("BACKUP SNAPSHOT d.s TO r ON (n)")
    base("DROP TABLE n FORCE")
    restored(base, "ON (n AS other)")
    assert base("SELECT v FROM other ORDER BY id") == [(1,), (2,)]
    with pytest.raises(SqlError, match="is not in snapshot"):
        restored(base, "ON (t)")


def test_a_table_of_another_definition_is_left_alone(base: Statements) -> None:
    base("BACKUP SNAPSHOT d.s TO r")
    base("ALTER TABLE n ADD COLUMN z INT; INSERT INTO u VALUES (2, to_bitmap(6))")
    with pytest.raises(SqlError, match="exists with another definition"):
        restored(base)
    assert base("SELECT count(*) FROM u") == [(2,)]


def test_a_damaged_file_restores_nothing(base: Statements, tmp_path: Path) -> None:
    base("BACKUP SNAPSHOT d.s TO r")
    for file in (tmp_path / "data" / "backups" / "main" / "s").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:-1])
    base("DELETE FROM n WHERE id = 1")
    with pytest.raises(SqlError, match="missing or damaged"):
        restored(base)
    assert base("SELECT id FROM n") == [(2,)]
    assert base("SHOW RESTORE")[0][4] == "CANCELLED"


def test_what_a_repository_may_not_be(base: Statements, tmp_path: Path) -> None:
    for location in (
        "file:///etc",
        "file://backups/../x",
        "file://backups/a/b",
        "file://backups/",
        "s3a://bucket/x",
        "file://backups/.hidden",
    ):
        with pytest.raises(SqlError):
            base(f'CREATE REPOSITORY x WITH BROKER ON LOCATION "{location}"')
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "backups").mkdir(exist_ok=True)
    (tmp_path / "data" / "backups" / "main").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SqlError, match="is a link"):
        base("BACKUP SNAPSHOT d.s TO r")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_snapshot_is_written_once_and_not_into_a_read_only_repository(base: Statements) -> None:
    base('CREATE READ ONLY REPOSITORY seen WITH BROKER ON LOCATION "file://backups/main"')
    base("BACKUP SNAPSHOT d.s TO r")
    with pytest.raises(SqlError, match="exists already"):
        base("BACKUP SNAPSHOT d.s TO r")
    with pytest.raises(SqlError, match="read only"):
        base("BACKUP SNAPSHOT d.other TO seen")
    assert [row[0] for row in base("SHOW SNAPSHOT ON seen")] == ["s"]
    base("DROP REPOSITORY r")
    with pytest.raises(SqlError, match="does not exist"):
        base("SHOW SNAPSHOT ON r")


def test_backups_need_the_right_to_repositories_and_to_the_tables(base: Statements) -> None:
    base("BACKUP SNAPSHOT d.s TO r")
    timestamp = stamp(base)
    base("CREATE USER b IDENTIFIED BY 'x'")
    user = base.session("b")
    statements = (
        "BACKUP SNAPSHOT d.s2 TO r",
        f"RESTORE SNAPSHOT d.s FROM r PROPERTIES ('backup_timestamp' = '{timestamp}')",
    )
    for statement in (*statements, "SHOW REPOSITORIES", "SHOW SNAPSHOT ON r", "DROP REPOSITORY r"):
        with pytest.raises(SqlError) as refused:
            base(statement, user)
        assert refused.value.code == 1227
    base("GRANT REPOSITORY ON SYSTEM TO USER b")
    for statement in statements:
        with pytest.raises(SqlError) as refused:
            base(statement, user)
        assert refused.value.code in (1142, 1044)
    base("GRANT EXPORT ON ALL TABLES IN DATABASE d TO USER b")
    base("BACKUP SNAPSHOT d.s2 TO r", user)
    base("GRANT INSERT, DELETE ON ALL TABLES IN DATABASE d TO USER b")
    base(statements[1], user)
