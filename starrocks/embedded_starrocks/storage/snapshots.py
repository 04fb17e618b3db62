"""Snapshots of tables as Parquet files with a manifest, in folders below the data directory.

DuckDB may write and read the spool only; files move between it and the snapshots in Python, so that
no SQL statement can name a file. A snapshot appears under its name when all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import duckdb

from embedded_starrocks.sql.types import ColumnType
from embedded_starrocks.storage.metadata import Relation, qualified, quoted

MANIFEST = "manifest.json"
_LAYOUT = 1
_LOCATION = re.compile(r"file://backups/([A-Za-z0-9][A-Za-z0-9_-]{0,63})/?")


class SnapshotError(Exception):
    """A snapshot that can't be written or read; the text names it and says why."""


@dataclasses.dataclass(frozen=True)
class SnapshotTable:
    """One table of a snapshot: its CREATE TABLE, and the file with its rows."""

    name: str
    create: str
    rows: int
    file: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class Snapshot:
    """What the manifest says."""

    name: str
    db: str
    timestamp: str
    tables: tuple[SnapshotTable, ...]


def folder_of(backups: Path, location: str) -> Path:
    """The folder that a location means. Raises SnapshotError for any other place."""
    match = _LOCATION.fullmatch(location)
    if match is None:
        raise SnapshotError(
            f"location '{location}' is not of the form file://backups/NAME, which is a folder "
            "of the data directory"
        )
    folder = backups / match[1]
    if folder.is_symlink() or backups.is_symlink():
        raise SnapshotError(f"location '{location}' is a link")
    return folder


def exported_type(kind: ColumnType) -> str:
    """The DuckDB type in the file: Parquet has no integers of 128 bits, which go as text."""
    return kind.duckdb().replace("HUGEINT", "VARCHAR")


def write(
    connection: duckdb.DuckDBPyConnection,
    spool: Path,
    folder: Path,
    snapshot: Snapshot,
    relations: list[tuple[Relation, str]],
) -> Snapshot:
    """Write tables as the connection's transaction sees them, each with its CREATE TABLE.

    Raises SnapshotError when the name is taken.
    """
    target = folder / snapshot.name
    if target.exists():
        raise SnapshotError(f"snapshot {snapshot.name} exists already in this repository")
    unfinished = folder / f".unfinished-{uuid.uuid4().hex}"
    unfinished.mkdir(parents=True)
    try:
        tables = tuple(
            _write_table(connection, spool, unfinished, index, relation, create)
            for index, (relation, create) in enumerate(relations)
        )
        whole = dataclasses.replace(snapshot, tables=tables)
        text = json.dumps({"layout": _LAYOUT, **dataclasses.asdict(whole)}, indent=1)
        _write_synced(unfinished / MANIFEST, text.encode())
        _sync(unfinished)
        unfinished.rename(target)
        _sync(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return whole


def _write_table(
    connection: duckdb.DuckDBPyConnection,
    spool: Path,
    folder: Path,
    index: int,
    relation: Relation,
    create: str,
) -> SnapshotTable:
    outputs = ", ".join(
        f"CAST({quoted(column.name)} AS {exported_type(column.type)}) AS {quoted(column.name)}"
        for column in relation.columns
    )
    file = f"{index:04d}.parquet"
    with _in_spool(spool) as passing:
        source = f"SELECT {outputs} FROM {qualified(relation.db, relation.name)}"
        ((rows,),) = connection.execute(
            f"COPY ({source}) TO '{_text(passing)}' (FORMAT parquet)"
        ).fetchall()
        shutil.move(passing, folder / file)
    _sync(folder / file)
    return SnapshotTable(relation.name, create, int(rows), file, _sha256(folder / file))


def read(folder: Path, name: str) -> Snapshot:
    """The manifest of a snapshot. Raises SnapshotError when there is none that can be read."""
    path = folder / name / MANIFEST
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found.pop("layout") != _LAYOUT:
            raise SnapshotError(f"snapshot {name} was written by another release")
        tables = tuple(SnapshotTable(**each) for each in found.pop("tables"))
        return Snapshot(**found, tables=tables)
    except FileNotFoundError:
        raise SnapshotError(f"snapshot {name} does not exist in this repository") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the manifest of snapshot {name} cannot be read: {error}") from None


def names(folder: Path) -> list[str]:
    """The finished snapshots of a folder."""
    if not folder.is_dir():
        return []
    return sorted(each.parent.name for each in folder.glob(f"*/{MANIFEST}"))


def load(
    connection: duckdb.DuckDBPyConnection,
    spool: Path,
    folder: Path,
    table: SnapshotTable,
    relation: Relation,
) -> None:
    """The rows of a file into an empty table. Raises SnapshotError for a damaged file."""
    path = folder / table.file
    if not path.is_file() or _sha256(path) != table.sha256:
        raise SnapshotError(f"file {table.file} of table {table.name} is missing or damaged")
    outputs = ", ".join(
        f"CAST({quoted(column.name)} AS {column.type.duckdb()}) AS {quoted(column.name)}"
        for column in relation.columns
    )
    with _in_spool(spool) as passing:
        shutil.copyfile(path, passing)
        ((rows,),) = connection.execute(
            f"INSERT INTO {qualified(relation.db, relation.name)} "
            f"SELECT {outputs} FROM read_parquet('{_text(passing)}')"
        ).fetchall()
    if rows != table.rows:
        raise SnapshotError(f"{rows} rows of {table.name} read, {table.rows} expected")


@contextlib.contextmanager
def _in_spool(spool: Path) -> Iterator[Path]:
    path = spool / f"snapshot-{uuid.uuid4().hex}.parquet"
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _text(path: Path) -> str:
    return str(path).replace("'", "''")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_synced(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
