"""From statement text to results: which handler answers which statement."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import duckdb
from sqlglot import exp

from embedded_starrocks.errors import syntax_error, unsupported
from embedded_starrocks.mysql.resultset import Done, ResultSet
from embedded_starrocks.sql import (
    accounts,
    admin,
    alter,
    backups,
    ddl,
    dialect,
    dml,
    grants,
    mviews,
    prepare,
    show,
    tasks,
    transactions,
)
from embedded_starrocks.sql.context import Context
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.hints import set_var_hints, without_hint
from embedded_starrocks.sql.limits import limited
from embedded_starrocks.sql.query import run_query
from embedded_starrocks.sql.reading import read
from embedded_starrocks.sql.tablewords import take_table_words
from embedded_starrocks.sql.translate import translated

Result = ResultSet | Done
TextHandler = Callable[[Context, list[Token], str], Result]

_UNWRITABLE = "Name needs to be a string"
# By first word: statements that are read token by token.
_BY_WORD: dict[str, TextHandler] = {
    "SHOW": show.show,
    "DESC": show.describe,
    "DESCRIBE": show.describe,
    "SET": admin.set_statement,
    "USE": admin.use,
    "KILL": admin.kill,
    "ADMIN": admin.admin,
    "GRANT": grants.grant,
    "REVOKE": grants.revoke,
    "COMMIT": transactions.commit,
    "ROLLBACK": transactions.rollback,
    "BEGIN": transactions.begin,
    "START": transactions.begin,
    "REFRESH": mviews.refresh,
    "EXPLAIN": show.explain,
    "ANALYZE": admin.accepted,
    "BACKUP": backups.backup,
    "RESTORE": backups.restore,
    "PREPARE": prepare.prepare,
    "DEALLOCATE": prepare.deallocate,
}
_BY_TWO_WORDS: dict[tuple[str, str], TextHandler] = {
    ("CREATE", "USER"): accounts.create_user,
    ("DROP", "USER"): accounts.drop_user,
    ("ALTER", "USER"): accounts.alter_user,
    ("CREATE", "ROLE"): accounts.create_role,
    ("DROP", "ROLE"): accounts.drop_role,
    ("DROP", "TASK"): tasks.drop_task,
    ("DROP", "PREPARE"): prepare.deallocate,
    ("CREATE", "REPOSITORY"): backups.create_repository,
    ("CREATE", "READ"): backups.create_repository,
    ("DROP", "REPOSITORY"): backups.drop_repository,
}


def _create(context: Context, tree: exp.Create) -> Done:
    properties = tree.args.get("properties")
    if tree.kind == "VIEW" and properties and properties.find(exp.MaterializedProperty):
        return mviews.create(context, tree)
    return ddl.create(context, tree)


_WRITERS: dict[type[exp.Expr], Callable[[Context, Any], Result]] = {
    exp.Insert: dml.insert,
    exp.Delete: dml.delete,
    exp.Update: dml.update,
    exp.Create: _create,
    exp.Drop: ddl.drop,
    exp.TruncateTable: ddl.truncate,
}


def statements(sql: str) -> list[tuple[list[Token], str]]:
    """The statements of one text, each with its tokens."""
    return [(found, sql) for found in dialect.split(dialect.tokenize(sql))]


def execute(context: Context, found: list[Token], sql: str) -> Result:
    """Run one statement. Raises SqlError for everything that goes wrong."""
    context.session.hints = set_var_hints(found)
    try:
        return _dispatch(context, found, sql)
    except duckdb.Error as error:
        raise translated(error) from None
    except ValueError as error:
        # sqlglot builds some trees from nonsense that it can't write as SQL.
        if _UNWRITABLE not in str(error):
            raise
        raise syntax_error(f"unreadable statement ({error})") from None
    finally:
        context.session.hints = {}


def _dispatch(context: Context, found: list[Token], sql: str) -> Result:
    words = [token.text.upper() for token in found[:2]] + ["", ""]
    transactions.check_allowed(context, words[0])
    handler = _BY_TWO_WORDS.get((words[0], words[1])) or _BY_WORD.get(words[0])
    if handler is not None:
        return handler(context, found, sql)
    if words[0] == "SELECT":
        return limited(context, found, read(context, found, sql))
    if words[0] == "EXECUTE":
        return prepare.execute(context, found, sql, execute)
    if words[0] == "SUBMIT":
        return tasks.submit(context, found, sql, execute)
    if words[0] == "ALTER":
        return alter.alter(context, found, sql)
    label = ""
    if words[0] == "INSERT":
        found, label = transactions.take_label(found)
    table_words = take_table_words(without_hint(found), sql)
    tree = dialect.parse_tokens(table_words.tokens, sql)
    if isinstance(tree, exp.Query):
        return limited(context, found, run_query(context, tree))
    tree.meta["table_words"] = table_words
    tree.meta["label"] = label
    writer = _WRITERS.get(type(tree))
    if writer is None:
        raise unsupported(dialect.text_of(found, sql)[:120])
    return _writing(context, writer, tree)


def _writing(context: Context, handler: Callable[[Context, Any], Result], tree: Any) -> Result:
    context.session.writing_thread = threading.get_ident()
    try:
        return handler(context, tree)
    finally:
        context.session.writing_thread = 0
