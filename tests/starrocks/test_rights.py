"""Users, roles and grants: each right does what it says, and nothing more."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from embedded_starrocks.errors import SqlError
from embedded_starrocks.storage.engine import FILE_NAME, Engine
from embedded_starrocks.storage.store import Store
from tests.starrocks.conftest import Statements


@pytest.fixture(scope="module", autouse=True)
def _tables(sql: Statements) -> None:
    sql("CREATE TABLE d.a (k INT NOT NULL, v INT) PRIMARY KEY (k) DISTRIBUTED BY HASH(k)")
    sql("CREATE TABLE d.b (k INT) DUPLICATE KEY (k)")
    sql("CREATE VIEW d.va AS SELECT k FROM d.a")
    sql("CREATE DATABASE other; CREATE TABLE other.t (k INT) DUPLICATE KEY (k)")


def refused(sql: Statements, statement: str, user: str) -> int:
    with pytest.raises(SqlError) as caught:
        sql(statement, sql.session(user))
    return caught.value.code


def test_a_role_gives_its_rights_only_while_it_is_active(sql: Statements) -> None:
    sql("CREATE ROLE readers; GRANT SELECT ON TABLE d.a TO ROLE readers")
    sql("CREATE USER u1 IDENTIFIED BY 'p'; GRANT readers TO USER u1")
    session = sql.session("u1")
    with pytest.raises(SqlError):
        sql("SELECT * FROM d.a", session)
    sql("SET ROLE readers", session)
    assert sql("SELECT * FROM d.a", session) == []
    assert sql("SELECT current_role()", session) == [("readers",)]
    sql("SET ROLE NONE", session)
    with pytest.raises(SqlError):
        sql("SELECT * FROM d.a", session)
    sql("SET DEFAULT ROLE ALL TO u1", session)
    assert sql("SELECT * FROM d.a", sql.session("u1")) == []


def test_a_revoked_role_stops_open_sessions_at_once(sql: Statements) -> None:
    sql("CREATE ROLE short; GRANT SELECT ON TABLE d.b TO ROLE short")
    sql("CREATE USER u2 IDENTIFIED BY 'p' DEFAULT ROLE short")
    session = sql.session("u2")
    sql("SET ROLE short", session)
    assert sql("SELECT * FROM d.b", session) == []
    sql("REVOKE short FROM USER u2")
    with pytest.raises(SqlError):
        sql("SELECT * FROM d.b", session)


def test_roles_hold_roles_but_never_in_a_circle(sql: Statements) -> None:
    sql("CREATE ROLE outer_, inner_; GRANT SELECT ON ALL TABLES IN DATABASE d TO ROLE inner_")
    sql("GRANT inner_ TO ROLE outer_; CREATE USER u3 IDENTIFIED BY 'p' DEFAULT ROLE outer_")
    assert sql("SELECT * FROM d.b", sql.session("u3")) == []
    with pytest.raises(SqlError):
        sql("GRANT outer_ TO ROLE inner_")
    sql("DROP ROLE inner_")
    assert refused(sql, "SELECT * FROM d.b", "u3") == 1142


def test_public_is_everybodys_role(sql: Statements) -> None:
    sql("CREATE USER u4 IDENTIFIED BY 'p'; GRANT SELECT ON TABLE d.b TO ROLE public")
    assert sql("SELECT * FROM d.b", sql.session("u4")) == []
    sql("REVOKE SELECT ON TABLE d.b FROM ROLE public")
    assert refused(sql, "SELECT * FROM d.b", "u4") == 1142


def test_tables_views_and_databases_have_rights_of_their_own(sql: Statements) -> None:
    sql("CREATE USER u5 IDENTIFIED BY 'p'; GRANT ALL ON ALL TABLES IN DATABASE d TO USER u5")
    assert refused(sql, "SELECT * FROM d.va", "u5") == 1142
    assert refused(sql, "CREATE TABLE d.mine (k INT)", "u5") == 1044
    assert refused(sql, "DROP DATABASE d", "u5") == 1044
    assert refused(sql, "SELECT * FROM other.t", "u5") == 1142
    sql("GRANT SELECT ON VIEW d.va TO USER u5")
    # The view's own right is enough: its tables need none.
    assert sql("SELECT * FROM d.va", sql.session("u5")) == []
    with pytest.raises(SqlError):
        sql("GRANT SELECT ON TABLE d.va TO USER u5")


def test_built_in_roles_have_the_rights_of_their_names(sql: Statements) -> None:
    sql("CREATE USER dba IDENTIFIED BY 'p' DEFAULT ROLE db_admin")
    sql("CREATE USER ua IDENTIFIED BY 'p' DEFAULT ROLE user_admin")
    dba, ua = sql.session("dba"), sql.session("ua")
    sql("CREATE DATABASE made; CREATE TABLE made.t (k INT); DROP DATABASE made", dba)
    assert refused(sql, "CREATE USER x IDENTIFIED BY 'x'", "dba") == 1227
    sql("CREATE USER x IDENTIFIED BY 'x'; DROP USER x", ua)
    assert refused(sql, "SELECT * FROM d.a", "ua") == 1142
    # An administrator of users does not become, or touch, an administrator of data.
    assert refused(sql, "GRANT db_admin TO USER ua", "ua") == 1227
    assert refused(sql, "GRANT root TO USER ua", "ua") == 1227
    assert refused(sql, "ALTER USER dba IDENTIFIED BY 'taken'", "ua") == 1227
    assert refused(sql, "SET PASSWORD FOR root = PASSWORD('taken')", "ua") == 1227
    assert refused(sql, "CREATE USER y IDENTIFIED BY 'y' DEFAULT ROLE root", "ua") == 1227


def test_grant_option_passes_on_exactly_what_was_given(sql: Statements) -> None:
    sql("CREATE USER giver IDENTIFIED BY 'p'; CREATE USER taker IDENTIFIED BY 'p'")
    sql("GRANT SELECT ON TABLE d.a TO USER giver WITH GRANT OPTION")
    giver = sql.session("giver")
    sql("GRANT SELECT ON TABLE d.a TO USER taker", giver)
    assert sql("SELECT * FROM d.a", sql.session("taker")) == []
    assert refused(sql, "GRANT INSERT ON TABLE d.a TO USER taker", "giver") == 1227
    assert refused(sql, "GRANT SELECT ON ALL TABLES IN DATABASE d TO USER taker", "giver") == 1227
    assert refused(sql, "GRANT SELECT ON TABLE d.a TO USER giver", "taker") == 1227


def test_grants_go_with_their_table_and_not_with_its_name(sql: Statements) -> None:
    sql("CREATE TABLE d.gone (k INT) DUPLICATE KEY (k); CREATE USER u6 IDENTIFIED BY 'p'")
    sql("GRANT SELECT ON TABLE d.gone TO USER u6")
    sql("ALTER TABLE d.gone RENAME moved")
    assert sql("SELECT * FROM d.moved", sql.session("u6")) == []
    sql("DROP TABLE d.moved; CREATE TABLE d.moved (k INT) DUPLICATE KEY (k)")
    assert refused(sql, "SELECT * FROM d.moved", "u6") == 1142


def test_grants_are_shown_as_they_can_be_written(sql: Statements) -> None:
    sql("CREATE USER u7 IDENTIFIED BY 'p'; CREATE ROLE r7; GRANT r7 TO USER u7")
    sql("GRANT SELECT, INSERT ON TABLE d.a TO USER u7")
    sql("GRANT CREATE TABLE ON DATABASE d TO USER u7")
    sql("GRANT SELECT ON ALL VIEWS IN ALL DATABASES TO ROLE r7")
    rows = sql("SHOW GRANTS", sql.session("u7"))
    assert rows[0] == ("'u7'@'%'", None, "GRANT 'r7' TO 'u7'@'%'")
    texts = [row[2] for row in rows[1:]]
    assert texts == [
        "GRANT CREATE TABLE ON DATABASE d TO USER 'u7'@'%'",
        "GRANT INSERT ON TABLE d.a TO USER 'u7'@'%'",
        "GRANT SELECT ON TABLE d.a TO USER 'u7'@'%'",
    ]
    for text in texts:
        sql(text)
    assert sql("SHOW GRANTS FOR u7") == rows
    assert sql("SHOW GRANTS FOR ROLE r7", sql.session("u7")) == [
        ("r7", "default", "GRANT SELECT ON ALL VIEWS IN ALL DATABASES TO ROLE 'r7'")
    ]
    assert refused(sql, "SHOW GRANTS FOR root", "u7") == 1227
    assert refused(sql, "SHOW ROLES", "u7") == 1227


def test_passwords_are_changed_by_their_owner_and_kept_hashed(sql: Statements) -> None:
    sql("CREATE USER u8 IDENTIFIED WITH mysql_native_password BY 'first'")
    before = sql.store.catalog.rights.accounts["u8"].password_hash
    sql("SET PASSWORD = PASSWORD('second')", sql.session("u8"))
    after = sql.store.catalog.rights.accounts["u8"].password_hash
    assert before != after
    assert after.startswith("*")
    assert len(after) == 41
    assert refused(sql, "ALTER USER giver IDENTIFIED BY 'x'", "u8") == 1227
    sql(f"ALTER USER u8 IDENTIFIED BY PASSWORD '{before}'")
    assert sql.store.catalog.rights.accounts["u8"].password_hash == before


def test_a_file_of_the_first_layout_keeps_its_users_and_rights(tmp_path: Path) -> None:
    """What stood in a file of the first release means the same afterwards."""
    data = tmp_path / "data"
    data.mkdir()
    with duckdb.connect(str(data / FILE_NAME)) as old:
        old.execute("CREATE SCHEMA __starrocks; CREATE TABLE __starrocks.layout (version INTEGER)")
        old.execute("INSERT INTO __starrocks.layout VALUES (1)")
        old.execute("CREATE TABLE __starrocks.users (name VARCHAR, password_hash VARCHAR)")
        old.execute("INSERT INTO __starrocks.users VALUES ('r', '*00')")
        old.execute(
            "CREATE TABLE __starrocks.grants "
            "(user_name VARCHAR, privilege VARCHAR, db VARCHAR, tbl VARCHAR)"
        )
        old.execute("INSERT INTO __starrocks.grants VALUES ('r', 'SELECT', 'd', '*')")
        old.execute("INSERT INTO __starrocks.grants VALUES ('r', 'CREATE VIEW', 'd', '*')")
    for _ in range(2):
        store = Store(Engine(data, "256MB", 1), "secret", "")
        rights = store.catalog.rights
        none: frozenset[str] = frozenset()
        assert rights.allows("r", none, "SELECT", "TABLE", "d", "t")
        assert rights.allows("r", none, "CREATE VIEW", "DATABASE", "d", "*")
        assert not rights.allows("r", none, "INSERT", "TABLE", "d", "t")
        store.engine.close()
