"""`emdata warehouse export|import`: what went out comes in again, exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from emdata.errors import EmdataError, SettingError
from emdata.warehouse import Warehouse
from runtime.warehouse_files import MANIFEST, Loader, export_tables, import_tables
from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = pytest.mark.integration
DDL = (
    "CREATE TABLE w.kinds (k INT NOT NULL, big LARGEINT, b BOOLEAN, d DOUBLE, p DECIMAL(20, 4), "
    "s STRING, on_ DATE, at_ DATETIME, doc JSON, tags ARRAY<INT>, twice BIGINT AS k * 2) "
    "PRIMARY KEY (k) DISTRIBUTED BY HASH(k) BUCKETS 1"
)
ROW = (
    "170141183460469231731687303715884105727, true, 0.1, 123.4567, 'é''\\\\\n', '2026-11-21', "
    "'2026-11-21 09:14:10.5', parse_json('{\"a\":[1,null]}'), [1, NULL]"
)


def clients(server: RunningServer) -> tuple[Warehouse, Loader]:
    warehouse = Warehouse("127.0.0.1", server.mysql_port, "root", PASSWORD, timeout=60)
    return warehouse, Loader("127.0.0.1", server.http_port, "root", PASSWORD)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """Another server, which the export moves to."""
    running = RunningServer(tmp_path_factory.mktemp("target"))
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def exported(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    server.query("CREATE DATABASE w")
    server.query(DDL)
    server.query(f"INSERT INTO w.kinds VALUES (1, {ROW}), (2{', NULL' * 9})")
    server.query("CREATE TABLE w.many (k BIGINT) DUPLICATE KEY (k)")
    server.query("INSERT INTO w.many SELECT * FROM TABLE(generate_series(1, 45000))")
    server.query("CREATE VIEW w.seen AS SELECT k, s FROM w.kinds")
    server.query("CREATE MATERIALIZED VIEW w.mv REFRESH MANUAL AS SELECT sum(k) AS k FROM w.many")
    directory = tmp_path_factory.mktemp("out") / "export"
    done = list(export_tables(clients(server)[0], directory, ["w"]))
    assert {(table.name, table.rows) for table in done if table.kind == "TABLE"} == {
        ("kinds", 2),
        ("many", 45_000),
    }
    return directory


def test_an_export_makes_the_same_tables_on_another_server(
    server: RunningServer, target: RunningServer, exported: Path
) -> None:
    warehouse, loader = clients(target)
    assert len(list(import_tables(warehouse, loader, exported, [], replace=False))) == 4
    for sql in (
        "SELECT * FROM w.kinds ORDER BY k",
        "SELECT count(*), sum(k), count(DISTINCT k) FROM w.many",
        "SELECT * FROM w.seen ORDER BY k",
        "SELECT * FROM w.mv",
        "SHOW CREATE TABLE w.kinds",
    ):
        assert target.query(sql) == server.query(sql), sql
    with pytest.raises(SettingError, match="--replace"):
        list(import_tables(warehouse, loader, exported, [], replace=False))
    list(import_tables(warehouse, loader, exported, ["w"], replace=True))
    assert target.query("SELECT count(*) FROM w.many") == [(45_000,)]


def test_a_wrong_count_is_told(target: RunningServer, exported: Path, tmp_path: Path) -> None:
    manifest = json.loads((exported / MANIFEST).read_text())
    manifest["tables"] = [each for each in manifest["tables"] if each["name"] == "many"]
    manifest["tables"][0]["rows"] = 7
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "many.parquet").write_bytes((exported / "w/many.parquet").read_bytes())
    with pytest.raises(EmdataError, match="45000 rows, the export 7"):
        list(import_tables(*clients(target), tmp_path, [], replace=True))


@pytest.mark.parametrize("text", ["{}", "no json", '{"format": 2, "tables": []}'])
def test_what_is_no_export_is_refused(target: RunningServer, tmp_path: Path, text: str) -> None:
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(SettingError):
        list(import_tables(*clients(target), tmp_path, [], replace=False))


def test_an_export_never_mixes_with_other_files(server: RunningServer, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(SettingError, match="new or empty"):
        list(export_tables(clients(server)[0], tmp_path, []))
    with pytest.raises(SettingError, match="nosuch"):
        list(export_tables(clients(server)[0], tmp_path / "new", ["nosuch"]))
