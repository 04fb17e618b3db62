"""Tables of a StarRocks as files: DDL, Parquet and a manifest; read through plain SQL.

Works with the embedded StarRocks and with a cluster, so that data moves from one to the other.
Types that Parquet has not (JSON, ARRAY, MAP, STRUCT, LARGEINT) are text, as a client sees them.
Views and materialized views are kept as DDL only.
"""

from __future__ import annotations

import base64
import dataclasses
import http.client
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pymysql.cursors

from emdata.errors import EmdataError, SettingError

if TYPE_CHECKING:
    import pyarrow as pa

    from emdata.warehouse import Warehouse

MANIFEST = "manifest.json"
FORMAT = 1
BATCH = 20_000
_SYSTEM = ("information_schema", "sys", "_statistics_")
_REFUSED = ("bitmap", "hll", "percentile")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_$-]{0,1022}")


class WarehouseFilesError(EmdataError):
    """An export or import cannot be done, or its counts do not agree."""

    code = "warehouse_files"


@dataclasses.dataclass(frozen=True)
class Table:
    """One exported object; `kind` is TABLE, VIEW or MATERIALIZED VIEW."""

    database: str
    name: str
    kind: str
    ddl: str
    rows: int = 0
    columns: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> str:
        return f"{self.database}/{self.name}.parquet"


def _refused(what: str, value: object, allowed: str) -> SettingError:
    return SettingError(what, value=str(value), allowed=allowed, searched=("command line",))


# Export


def export_tables(
    warehouse: Warehouse, directory: Path, databases: Sequence[str]
) -> Iterator[Table]:
    """Write all tables below ``directory``; yields each as it is done.

    Raises SettingError for a directory with content or an unknown database.
    """
    if directory.exists() and any(directory.iterdir()):
        raise _refused("DIRECTORY", directory, "a new or empty directory")
    known = [name for name in _databases(warehouse) if name not in _SYSTEM]
    for name in databases:
        if name not in known:
            raise _refused("--database", name, ", ".join(known))
    directory.mkdir(parents=True, exist_ok=True)
    done = []
    for database in databases or known:
        for table in _tables(warehouse, database):
            written = _export(warehouse, directory, table) if table.kind == "TABLE" else table
            done.append(written)
            yield written
    manifest = {"format": FORMAT, "tables": [dataclasses.asdict(table) for table in done]}
    # Written last: an export without a manifest is not whole.
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _databases(warehouse: Warehouse) -> list[str]:
    return [str(next(iter(row.values()))) for row in warehouse.query("SHOW DATABASES")]


def _tables(warehouse: Warehouse, database: str) -> list[Table]:
    rows = warehouse.query(
        "SELECT t.TABLE_NAME AS name, t.TABLE_TYPE AS kind, m.TABLE_NAME AS materialized "
        "FROM information_schema.tables t LEFT JOIN information_schema.materialized_views m "
        "ON m.TABLE_SCHEMA = t.TABLE_SCHEMA AND m.TABLE_NAME = t.TABLE_NAME "
        "WHERE t.TABLE_SCHEMA = %s ORDER BY t.TABLE_NAME",
        [database],
    )
    found = []
    for row in rows:
        kind = "TABLE" if row["kind"] == "BASE TABLE" else "VIEW"
        if row["materialized"] is not None:
            kind = "MATERIALIZED VIEW"
        name = str(row["name"])
        shown = warehouse.query(f"SHOW CREATE {kind} `{database}`.`{name}`")[0]
        ddl = str(next(value for key, value in shown.items() if key.startswith("Create")))
        columns = warehouse.query(
            "SELECT COLUMN_NAME AS name, COLUMN_TYPE AS type FROM information_schema.columns "
            "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION",
            [database, name],
        )
        types = tuple((str(each["name"]), str(each["type"]).lower()) for each in columns)
        found.append(Table(database, name, kind, ddl, columns=types))
    # Views come behind what they are made of.
    return sorted(found, key=lambda table: table.kind != "TABLE")


def _arrow_type(kind: str) -> pa.DataType:
    import pyarrow as pa

    plain = {
        "boolean": pa.bool_(),
        "tinyint": pa.int8(),
        "smallint": pa.int16(),
        "int": pa.int32(),
        "bigint": pa.int64(),
        "float": pa.float32(),
        "double": pa.float64(),
        "date": pa.date32(),
        "datetime": pa.timestamp("us"),
        "varbinary": pa.binary(),
    }
    name = re.split("[(<]", kind, maxsplit=1)[0].strip()
    if name == "decimal":
        precision, scale = (int(part) for part in kind[kind.index("(") + 1 : -1].split(","))
        return pa.decimal128(precision, scale)
    return plain.get(name, pa.string())


def _export(warehouse: Warehouse, directory: Path, table: Table) -> Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for column, kind in table.columns:
        if kind.startswith(_REFUSED):
            raise WarehouseFilesError(
                f"{table.database}.{table.name}: column {column} is {kind}, "
                "which no client can read; export the other databases by --database"
            )
    schema = pa.schema([(name, _arrow_type(kind)) for name, kind in table.columns])
    path = directory / table.file
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with (
        warehouse.connect() as connection,
        connection.cursor(pymysql.cursors.SSCursor) as cursor,
        pq.ParquetWriter(path, schema, compression="zstd") as writer,
    ):
        names = ", ".join(f"`{name}`" for name, _ in table.columns)
        cursor.execute(f"SELECT {names} FROM `{table.database}`.`{table.name}`")
        while rows := cursor.fetchmany(BATCH):
            columns = [
                pa.array([_plain(row[index], field.type) for row in rows], type=field.type)
                for index, field in enumerate(schema)
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(rows)
    return dataclasses.replace(table, rows=count)


def _plain(value: Any, kind: pa.DataType) -> Any:
    import pyarrow as pa

    if value is None:
        return None
    if pa.types.is_boolean(kind):
        return bool(value)
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else str(value)
    return value


# Import


class Loader:
    """Stream loads with basic authentication; follows StarRocks' redirect to a backend."""

    def __init__(self, host: str, port: int, user: str, password: str) -> None:
        self._address = (host, port)
        token = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Expect": "100-continue",
            "format": "json",
            "strip_outer_array": "true",
            "strict_mode": "true",
        }

    def load(self, table: Table, rows: list[dict[str, Any]], columns: str) -> None:
        """Load rows; raises WarehouseFilesError unless all of them are taken."""
        body = json.dumps(rows, default=str).encode()
        headers = {**self._headers, "columns": columns}
        path = f"/api/{table.database}/{table.name}/_stream_load"
        host, port = self._address
        for _ in range(3):
            connection = http.client.HTTPConnection(host, port, timeout=600)
            try:
                connection.request("PUT", path, body, headers)
                answer = connection.getresponse()
                text = answer.read().decode("utf-8", "replace")
                moved = answer.getheader("Location")
            except OSError as error:
                raise WarehouseFilesError(f"stream load on {host}:{port}: {error}") from error
            finally:
                connection.close()
            if answer.status != 307 or not moved:
                break
            host, port, path = _target(moved)
        _check_answer(table, text, len(rows))


def _target(location: str) -> tuple[str, int, str]:
    from urllib.parse import urlsplit

    parts = urlsplit(location)
    return parts.hostname or "", parts.port or 80, parts.path


def _check_answer(table: Table, text: str, rows: int) -> None:
    try:
        answer = json.loads(text)
    except json.JSONDecodeError:
        answer = {"Status": "no JSON", "Message": text[:200]}
    taken = answer.get("Status") in ("Success", "Publish Timeout")
    if not taken or answer.get("NumberLoadedRows") != rows:
        raise WarehouseFilesError(
            f"load into {table.database}.{table.name}: {answer.get('Status')}: "
            f"{answer.get('Message')}"
        )


def read_manifest(directory: Path) -> list[Table]:
    """The tables of an export. Raises SettingError for a directory that is none."""
    path = directory / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise _refused(str(path), manifest["format"], f"format {FORMAT}")
        tables = [
            Table(**{**each, "columns": tuple((n, t) for n, t in each["columns"])})
            for each in manifest["tables"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _refused(str(path), repr(error), "the manifest of an export") from error
    for table in tables:
        # Names become paths and SQL: what no export writes is refused.
        if not _NAME.fullmatch(table.database) or not _NAME.fullmatch(table.name):
            raise _refused(str(path), f"{table.database}.{table.name}", "names of tables")
    return tables


def import_tables(
    warehouse: Warehouse,
    loader: Loader,
    directory: Path,
    databases: Sequence[str],
    *,
    replace: bool,
) -> Iterator[Table]:
    """Make and fill the tables of an export; yields each when its count agrees."""
    for table in read_manifest(directory):
        if databases and table.database not in databases:
            continue
        target = f"`{table.database}`.`{table.name}`"
        warehouse.execute(f"CREATE DATABASE IF NOT EXISTS `{table.database}`")
        existing = {name for _, name in _names(warehouse, table.database)}
        if table.name in existing and table.kind != "TABLE":
            continue
        if table.name not in existing:
            ddl = table.ddl.rstrip().rstrip(";")
            plain = f"`{table.name}`"
            warehouse.execute(f"USE `{table.database}`", ddl.replace(plain, target, 1))
        if table.kind == "TABLE":
            _fill(warehouse, loader, directory, table, replace=replace)
        yield table


def _names(warehouse: Warehouse, database: str) -> list[tuple[str, str]]:
    rows = warehouse.query(
        "SELECT TABLE_NAME AS name FROM information_schema.tables WHERE TABLE_SCHEMA = %s",
        [database],
    )
    return [(database, str(row["name"])) for row in rows]


def _fill(
    warehouse: Warehouse, loader: Loader, directory: Path, table: Table, *, replace: bool
) -> None:
    import pyarrow.parquet as pq

    target = f"`{table.database}`.`{table.name}`"
    before = _count(warehouse, target)
    if before and not replace:
        raise _refused(target, f"{before} rows", "an empty table, or --replace")
    if before:
        warehouse.execute(f"TRUNCATE TABLE {target}")
    generated = set(re.findall(r"`([^`]+)` [^\n]*? AS ", table.ddl.split(") ENGINE")[0]))
    nested = {
        name for name, kind in table.columns if kind.startswith(("json", "array", "map", "str"))
    }
    nested -= {name for name, kind in table.columns if kind.startswith("string")}
    names = [name for name, _ in table.columns if name not in generated]
    columns = ", ".join(f"`{name}`" for name in names)
    try:
        file = pq.ParquetFile(directory / table.file)
    except (OSError, ValueError) as error:
        raise WarehouseFilesError(f"{directory / table.file}: {error}") from error
    with file:
        for batch in file.iter_batches(batch_size=BATCH, columns=names):
            rows = batch.to_pylist()
            for row in rows:
                for name in nested & row.keys():
                    row[name] = None if row[name] is None else json.loads(row[name])
            loader.load(table, rows, columns)
    found = _count(warehouse, target)
    if found != table.rows:
        raise WarehouseFilesError(f"{target} has {found} rows, the export {table.rows}")


def _count(warehouse: Warehouse, target: str) -> int:
    return int(warehouse.query(f"SELECT count(*) AS n FROM {target}")[0]["n"])
