"""SHOW REPOSITORIES, SHOW SNAPSHOT, SHOW BACKUP, SHOW RESTORE."""

from __future__ import annotations

from embedded_starrocks.errors import no_database_selected, unknown_database
from embedded_starrocks.mysql.resultset import ResultSet, Row, table_of
from embedded_starrocks.sql import backups
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.words import Words
from embedded_starrocks.storage import snapshots
from embedded_starrocks.storage.metadata import SCHEMA


def repositories(context: Context, words: Words) -> ResultSet:
    context.require_system("REPOSITORY", "see repositories")
    words.finish()
    rows: list[Row] = context.session.connection.execute(
        "SELECT CAST(id AS VARCHAR), name, CAST(date_trunc('second', created_at) AS VARCHAR), "
        "CAST(is_read_only AS VARCHAR), location, '', NULL "
        f"FROM {SCHEMA}.repositories ORDER BY name"
    ).fetchall()
    names = ["RepoId", "RepoName", "CreateTime", "IsReadOnly", "Location", "Broker", "ErrMsg"]
    return table_of(names, rows)


def snapshot(context: Context, words: Words) -> ResultSet:
    """SHOW SNAPSHOT ON repository [WHERE SNAPSHOT = "name" [AND TIMESTAMP = "..."]]."""
    context.require_system("REPOSITORY", "see snapshots")
    words.expect("ON")
    repository = backups.find_repository(context, words.name())
    wanted: dict[str, str] = {}
    if words.accept("WHERE"):
        while not wanted or words.accept("AND"):
            field = words.any_of("SNAPSHOT", "TIMESTAMP")
            words.expect("=")
            wanted[field] = words.string()
    words.finish()
    place = backups.folder(context, repository)
    rows: list[Row] = []
    for name in snapshots.names(place):
        try:
            found = snapshots.read(place, name)
        except snapshots.SnapshotError as error:
            rows.append((name, "", f"ERROR: {error}"))
            continue
        rows.append((name, found.timestamp, "OK"))
    rows = [
        row
        for row in rows
        if wanted.get("SNAPSHOT", row[0]) == row[0] and wanted.get("TIMESTAMP", row[1]) == row[1]
    ]
    return table_of(["Snapshot", "Timestamp", "Status"], rows)


def _database(context: Context, words: Words) -> str:
    """FROM db, or the current one."""
    name = words.name() if words.any_of("FROM", "IN") else context.session.database
    words.finish()
    if not name:
        raise no_database_selected()
    found = context.catalog.database(name)
    if found is None or not context.sees_database(found):
        raise unknown_database(name)
    return found


def backup(context: Context, words: Words) -> ResultSet:
    context.require_system("REPOSITORY", "see backups")
    db = _database(context, words)
    rows: list[Row] = [
        (number, label, db, state, objects, begun, ended, ended, ended, "", "", message, "[OK]",
         "86400")
        for number, label, _, db, state, objects, _, begun, ended, message in
        backups.finished_jobs(context, "BACKUP", db)
    ]  # fmt: skip
    return table_of(
        [
            "JobId", "SnapshotName", "DbName", "State", "BackupObjs", "CreateTime",
            "SnapshotFinishedTime", "UploadFinishedTime", "FinishedTime", "UnfinishedTasks",
            "Progress", "TaskErrMsg", "Status", "Timeout",
        ],
        rows,
    )  # fmt: skip


def restore(context: Context, words: Words) -> ResultSet:
    context.require_system("REPOSITORY", "see restores")
    db = _database(context, words)
    rows: list[Row] = [
        (number, label, stamp, db, state, "false", "1", objects, begun, begun, ended, ended, ended,
         "", "", message, "[OK]", "86400")
        for number, label, stamp, db, state, objects, _, begun, ended, message in
        backups.finished_jobs(context, "RESTORE", db)
    ]  # fmt: skip
    return table_of(
        [
            "JobId", "Label", "Timestamp", "DbName", "State", "AllowLoad", "ReplicationNum",
            "RestoreObjs", "CreateTime", "MetaPreparedTime", "SnapshotFinishedTime",
            "DownloadFinishedTime", "FinishedTime", "UnfinishedTasks", "Progress", "TaskErrMsg",
            "Status", "Timeout",
        ],
        rows,
    )  # fmt: skip
