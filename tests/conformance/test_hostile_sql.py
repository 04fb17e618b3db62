"""SQL of any text reaches no file, no setting and no function of the engine below."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded_starrocks.errors import SqlError
from embedded_starrocks.sql import functions
from tests.starrocks.conftest import Statements
from tests.starrocks.running import REPOSITORY, environment

pytestmark = pytest.mark.integration
SECRET = "canary-that-no-client-reads"


class Guarded:
    """Statements over a store, beside a file that must not be read and a folder for none."""

    def __init__(self, directory: Path) -> None:
        self.sql = Statements(directory)
        self.file = directory / "secret.csv"
        self.file.write_text(f"{SECRET}\n", encoding="utf-8")
        self.folder = directory / "stays_empty"
        self.folder.mkdir()
        self.sql("CREATE DATABASE d; USE d")
        self.sql("CREATE TABLE t (k INT, s VARCHAR(20), a ARRAY<INT>)")
        self.sql("INSERT INTO t VALUES (1, 'x', [1, 2])")

    def answer(self, text: str) -> list[tuple[Any, ...]]:
        """Rows, or none where the text is refused; any other exception is a failure."""
        with contextlib.suppress(SqlError):
            return self.sql(text)
        return []

    def check(self, text: str) -> None:
        rows = self.answer(text)
        assert SECRET not in repr(rows)
        assert os.listdir(self.folder) == []
        assert self.sql("SELECT 1") == [(1,)]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    found = Guarded(tmp_path_factory.mktemp("guarded"))
    yield found
    found.sql.close()


@functools.cache
def engine_functions() -> list[str]:
    """Every function, table function and pragma that DuckDB has."""
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() "
            "WHERE regexp_full_match(function_name, '[a-z_0-9]+')"
        ).fetchall()
    return sorted(str(name) for (name,) in rows)


# In every position that a grammar has for a name or an expression.
PLACES = (
    "SELECT {}",
    "SELECT * FROM {}",
    "SELECT * FROM TABLE({})",
    "SELECT * FROM t, {} AS u",
    "SELECT * FROM t JOIN LATERAL {} AS u ON true",
    "SELECT k FROM t WHERE {} = 1",
    "SELECT k FROM t ORDER BY {}",
    "SELECT array_map(x -> {}, a) FROM t",
    "INSERT INTO t (s) VALUES ({})",
    "INSERT INTO t (s) SELECT * FROM {}",
    "CREATE VIEW v AS SELECT * FROM {}",
    "CREATE TABLE c AS SELECT * FROM {}",
    "DELETE FROM t WHERE s IN (SELECT * FROM {})",
    "WITH c AS (SELECT * FROM {}) SELECT * FROM c",
    "EXPLAIN SELECT * FROM {}",
    "SET @a = {}",
    "{}",
    "CALL {}",
    "PRAGMA {}",
)


def test_a_function_of_the_engine_is_no_table_and_no_statement(guarded: Guarded) -> None:
    answered = {*functions.supported()}
    for name in engine_functions():
        for place in ("SELECT * FROM {}", "CALL {}", "PRAGMA {}"):
            text = place.format(f"{name}('{guarded.file}')")
            if name in answered:
                guarded.check(text)
                continue
            with pytest.raises(SqlError):
                guarded.sql(text)


def test_a_function_that_is_not_starrocks_is_refused_by_its_name(guarded: Guarded) -> None:
    answered = {*functions.supported()}
    refused = [name for name in engine_functions() if name not in answered]
    assert len(refused) > 400
    for name in refused:
        with pytest.raises(SqlError) as caught:
            guarded.sql(f"SELECT {name}('{guarded.file}')")
        assert caught.value.code == 1064, name


@given(st.data())
def test_files_are_reached_from_no_place(guarded: Guarded, data: st.DataObject) -> None:
    file = str(guarded.file)
    target = str(guarded.folder / "written")
    name = data.draw(st.sampled_from(engine_functions()))
    argument = data.draw(st.sampled_from([f"'{file}'", f"['{file}']", f"'{file}', 'a'", ""]))
    thing = data.draw(
        st.sampled_from([f"{name}({argument})", f"'{file}'", f"`{file}`", f"d.{name}({argument})"])
    )
    guarded.check(data.draw(st.sampled_from(PLACES)).format(thing))
    guarded.check(
        data.draw(
            st.sampled_from(
                [
                    f"COPY t TO '{target}'",
                    f"COPY t FROM '{file}'",
                    f"EXPORT DATABASE '{target}'",
                    f"IMPORT DATABASE '{target}'",
                    f"ATTACH '{target}' AS x",
                    f"INSTALL '{target}'",
                    f"LOAD '{target}'",
                    f"SET temp_directory = '{target}'",
                    f"SET GLOBAL allowed_directories = '{guarded.folder}'",
                    f"SELECT * INTO OUTFILE '{target}' FROM t",
                    f"CREATE TABLE x AS FROM '{file}'",
                    f"CREATE MACRO m() AS (SELECT * FROM '{file}')",
                    f"CREATE SECRET (TYPE s3, SCOPE '{target}')",
                    f"LOAD DATA INFILE '{file}' INTO TABLE t",
                ]
            )
        )
    )


_PIECES = """
SELECT FROM WHERE GROUP BY ORDER HAVING LIMIT JOIN LEFT ON USING LATERAL UNION ALL EXCEPT WITH
AS CASE WHEN THEN ELSE END IN NOT AND OR IS NULL LIKE BETWEEN EXISTS CAST OVER PARTITION ROWS
INSERT INTO VALUES UPDATE SET DELETE CREATE TABLE VIEW DROP ALTER PRAGMA COPY ATTACH CALL
( ) ( ) , . ; * + - / % = < > -> :: [ ] { } ? @ @@ ' " ` 1 0 -1 1.5e3 0x1F 'text' '2026-01-01'
t d.t k s a count(*) sum(k) unnest(a) generate_series(1,3) row_number() array_map(x->x,a)
map{1:2} [1,2] named_struct('a',1) parse_json('{}') interval 1 day date_trunc('day',now())
read_csv glob information_schema.tables main.t system.t temp.t __starrocks_fn __stage
"""


def pieces() -> list[str]:
    """Words and expressions that statements are put together from."""
    return _PIECES.split()


_WORDS = st.sampled_from(pieces())


@given(st.lists(_WORDS, max_size=16).map(" ".join))
def test_any_words_are_answered_or_refused(guarded: Guarded, text: str) -> None:
    guarded.check(text)


_SCALARS = st.sampled_from(sorted(functions.supported()))
_VALUES = st.sampled_from(
    [
        "1",
        "-1",
        "NULL",
        "1.5",
        "'x'",
        "''",
        "'2026-11-21'",
        "[1, 2]",
        "k",
        "s",
        "a",
        "true",
        "map{1:2}",
    ]
)


@given(_SCALARS, st.lists(_VALUES, max_size=4), st.sampled_from(["", " OVER (ORDER BY k)"]))
def test_any_call_of_an_answered_function_is_answered_or_refused(
    guarded: Guarded, name: str, values: list[str], window: str
) -> None:
    guarded.check(f"SELECT {name}({', '.join(values)}){window} FROM t")


@pytest.mark.long
@given(st.text(max_size=200))
def test_any_text_is_answered_or_refused(guarded: Guarded, text: str) -> None:
    guarded.check(text)
    guarded.check(f"SELECT {text}")
    guarded.check(f"SELECT '{text}' FROM t WHERE k = {text}")


@pytest.mark.long
@pytest.mark.timeout(600)
def test_text_that_covers_new_code_is_answered_or_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.conformance.fuzz_sql", str(tmp_path), "10000"]
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
