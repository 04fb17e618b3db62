"""SQLAlchemy over its MySQL dialect and over StarRocks' own: inspect, create, write, query."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from tests.starrocks.running import PASSWORD, RunningServer

pytestmark = pytest.mark.integration

AT = datetime.datetime.fromisoformat("2026-11-21T09:14:10")
COLUMNS = "k INT NOT NULL COMMENT 'key', n BIGINT, s VARCHAR(20), on_ DATE, at_ DATETIME, doc JSON"


@pytest.fixture(scope="module", autouse=True)
def _tables(server: RunningServer) -> None:
    server.query(
        f"CREATE TABLE d.kinds ({COLUMNS}, p DECIMAL(20, 4), big LARGEINT, tags ARRAY<INT>) "
        "PRIMARY KEY (k) COMMENT 'all kinds' DISTRIBUTED BY HASH(k) BUCKETS 2"
    )
    server.query(f"CREATE TABLE d.plain ({COLUMNS}) DUPLICATE KEY (k)")
    server.query("CREATE VIEW d.seen AS SELECT k, n FROM d.kinds")
    server.query(
        "CREATE MATERIALIZED VIEW d.counted DISTRIBUTED BY HASH(n) REFRESH ASYNC AS "
        "SELECT n, count(*) AS c FROM d.kinds GROUP BY n"
    )


@pytest.fixture(params=["mysql+pymysql", "starrocks"])
def engine(server: RunningServer, request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    address = sa.URL.create(request.param, "root", PASSWORD, "127.0.0.1", server.mysql_port, "d")
    made = sa.create_engine(address)
    yield made
    made.dispose()


def made_table(engine: sa.Engine) -> sa.Table:
    """A table as a program declares it; the MySQL dialect knows no clause of StarRocks'."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "starrocks":
        options = {
            "starrocks_primary_key": "id",
            "starrocks_distributed_by": "HASH(id) BUCKETS 1",
            "starrocks_properties": {"replication_num": "1"},
        }
    return sa.Table(
        "made",
        sa.MetaData(),
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(30)),
        sa.Column("at_", sa.DateTime),
        sa.Column("amount", sa.Numeric(10, 2)),
        **options,
    )


# As over a real StarRocks, the MySQL dialect wonders at DUPLICATE KEY, and goes on.
@pytest.mark.filterwarnings("ignore:Unknown schema content:sqlalchemy.exc.SAWarning")
def test_sqlalchemy_inspects(engine: sa.Engine) -> None:
    inspector = sa.inspect(engine)
    assert {"d", "information_schema"} <= set(inspector.get_schema_names())
    assert {"kinds", "plain"} <= set(inspector.get_table_names())
    assert "seen" in inspector.get_view_names()
    assert inspector.has_table("kinds")
    assert not inspector.has_table("nope")
    # The MySQL dialect reads SHOW CREATE TABLE: MySQL's types only, and no `decimal(20, 4)`.
    columns = {column["name"]: column for column in inspector.get_columns("plain")}
    assert list(columns) == ["k", "n", "s", "on_", "at_", "doc"]
    assert [columns["k"]["nullable"], columns["n"]["nullable"]] == [False, True]
    kinds = {name: type(column["type"]).__name__ for name, column in columns.items()}
    assert kinds == {
        "k": "INTEGER",
        "n": "BIGINT",
        "s": "VARCHAR",
        "on_": "DATE",
        "at_": "DATETIME",
        "doc": "JSON",
    }


def test_starrocks_dialect_reflects_what_only_starrocks_has(
    server: RunningServer, engine: sa.Engine
) -> None:
    if engine.dialect.name != "starrocks":
        return
    inspector = sa.inspect(engine)
    columns = {column["name"]: repr(column["type"]) for column in inspector.get_columns("kinds")}
    assert columns["big"] == "LARGEINT()"
    assert columns["tags"] == "ARRAY(INTEGER())"
    assert columns["p"] == "DECIMAL(precision=20, scale=4)"
    assert inspector.get_columns("kinds")[0]["comment"] == "key"
    assert inspector.get_pk_constraint("kinds")["constrained_columns"] == ["k"]
    options = inspector.get_table_options("kinds")
    assert options["starrocks_distributed_by"] == "HASH(k) BUCKETS 2"
    assert options["starrocks_primary_key"] == "k"
    assert options["starrocks_comment"] == "all kinds"
    assert "counted" in inspector.get_materialized_view_names()
    reflected = sa.MetaData()
    reflected.reflect(engine, views=True)
    assert {"kinds", "plain", "seen"} <= set(reflected.tables)
    assert [column.name for column in reflected.tables["seen"].columns] == ["k", "n"]


def test_sqlalchemy_writes_and_queries(engine: sa.Engine, server: RunningServer) -> None:
    table = made_table(engine)
    if engine.dialect.name == "starrocks":
        table.metadata.create_all(engine)
        assert "PRIMARY KEY(`id`)" in server.query("SHOW CREATE TABLE d.made")[0][1]
    else:
        server.query(
            "CREATE TABLE d.made (id BIGINT NOT NULL, name VARCHAR(30), at_ DATETIME, "
            "amount DECIMAL(10, 2)) PRIMARY KEY (id)"
        )
    rows = [
        {"id": n, "name": f"n'{n}%", "at_": AT, "amount": Decimal("1.25") * n} for n in range(5)
    ]
    with engine.begin() as connection:
        assert connection.execute(table.insert(), rows).rowcount == 5
    with engine.begin() as connection:
        changed = table.update().where(table.c.id == 1).values(name="changed")
        assert connection.execute(changed).rowcount == 1
        assert connection.execute(table.delete().where(table.c.id > 3)).rowcount == 1
    with engine.connect() as connection:
        query = (
            sa.select(table.c.id, table.c.name, table.c.at_, table.c.amount)
            .where(table.c.name.in_(["changed", "n'2%"]))
            .order_by(table.c.id.desc())
        )
        assert connection.execute(query).all() == [
            (2, "n'2%", AT, Decimal("2.50")),
            (1, "changed", AT, Decimal("1.25")),
        ]
        total = sa.select(sa.func.count(), sa.func.sum(table.c.amount)).select_from(table)
        assert connection.execute(total).one() == (4, Decimal("7.50"))
        page = sa.select(table.c.id).order_by(table.c.id).limit(2).offset(1)
        assert connection.execute(page).scalars().all() == [1, 2]
        with pytest.raises(sa.exc.ProgrammingError, match="1146"):
            connection.execute(sa.text("SELECT * FROM nope"))
        connection.rollback()
        assert connection.execute(sa.text("SELECT :a + 1"), {"a": 1}).scalar() == 2
    table.metadata.drop_all(engine)
    assert not sa.inspect(engine).has_table("made")
