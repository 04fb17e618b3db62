"""What Connector/J says of a server, as JSON; run by Flink's own interpreter, which has Py4J.

Arguments: host and port, password, java program, jar of the Flink connector, which brings the
driver, and a text that is hard to quote. Database `d` must hold the tables that
`test_connector_j.py` makes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
from py4j.protocol import Py4JJavaError

ENDLESS = (
    "SELECT sum((a.generate_series * b.generate_series) % 7) FROM "
    "TABLE(generate_series(1, 1000000)) a, TABLE(generate_series(1, 1000000)) b"
)


class Driver:
    """One JVM with the driver on its class path."""

    def __init__(self, address: str, password: str, java: str, jar: str, text: str) -> None:
        port = launch_gateway(classpath=jar, java_path=java, die_on_exit=True)
        # Java's arrays and numbers come as they are; a list is made of them here.
        self.gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port))
        self.jvm = self.gateway.jvm
        self._address = address
        self._password = password
        self.text = text

    def connect(self, options: str = "", database: str = "d", **changes: str) -> Any:
        properties = self.jvm.java.util.Properties()
        properties.setProperty("user", changes.get("user", "root"))
        properties.setProperty("password", changes.get("password", self._password))
        url = f"jdbc:mysql://{self._address}/{database}?useSSL=false{options}"
        return self.jvm.com.mysql.jdbc.Driver().connect(url, properties)

    def rows(self, result: Any, columns: int | None = None) -> list[list[Any]]:
        """All rows of a result set, every value as text."""
        columns = columns or result.getMetaData().getColumnCount()
        found = []
        while result.next():
            found.append([result.getString(i + 1) for i in range(columns)])
        result.close()
        return found

    def refusal(self, act: Callable[[], Any]) -> list[Any]:
        """Code, SQL state and class of the error that `act` ends with."""
        try:
            act()
        except Py4JJavaError as error:
            java = error.java_exception
            return [java.getErrorCode(), java.getSQLState(), java.getClass().getSimpleName()]
        return []


def metadata(driver: Driver) -> dict[str, Any]:
    connection = driver.connect()
    about = connection.getMetaData()
    kinds = driver.gateway.new_array(driver.jvm.String, 2)
    kinds[0], kinds[1] = "TABLE", "VIEW"
    columns = []
    result = about.getColumns("d", None, "kinds", "%")
    while result.next():
        columns.append(
            [
                result.getString("COLUMN_NAME"),
                result.getInt("DATA_TYPE"),
                result.getInt("COLUMN_SIZE"),
                result.getInt("DECIMAL_DIGITS"),
                result.getString("IS_NULLABLE"),
                result.getInt("ORDINAL_POSITION"),
            ]
        )
    keys = []
    result = about.getPrimaryKeys("d", None, "kinds")
    while result.next():
        keys.append([result.getString("COLUMN_NAME"), result.getInt("KEY_SEQ")])
    found = {
        "product": about.getDatabaseProductName(),
        "version": about.getDatabaseProductVersion(),
        "catalog": connection.getCatalog(),
        "catalogs": driver.rows(about.getCatalogs()),
        "tables": driver.rows(about.getTables("d", None, "%", kinds), 4),
        "views": driver.rows(about.getTables("d", None, "kin%", None), 4),
        "columns": columns,
        "keys": keys,
        "valid": connection.isValid(5),
    }
    connection.setCatalog("information_schema")
    found["moved"] = connection.getCatalog()
    connection.close()
    return found


def one_row(driver: Driver) -> dict[str, Any]:
    connection = driver.connect()
    statement = connection.createStatement()
    result = statement.executeQuery("SELECT * FROM kinds ORDER BY k")
    about = result.getMetaData()
    types = {
        about.getColumnLabel(i): [about.getColumnType(i), about.getColumnTypeName(i)]
        for i in range(1, about.getColumnCount() + 1)
    }
    result.next()
    full = {
        "n": result.getLong("n"),
        "big": str(result.getBigDecimal("big")),
        "b": result.getBoolean("b"),
        "d": result.getDouble("d"),
        "p": str(result.getBigDecimal("p")),
        "s": result.getString("s"),
        "on_": result.getDate("on_").toString(),
        "at_": result.getTimestamp("at_").toString(),
        "doc": result.getString("doc"),
    }
    result.next()
    nulls = [result.getObject(i) for i in range(2, about.getColumnCount() + 1)]
    connection.close()
    return {"types": types, "full": full, "nulls": nulls}


def prepared(driver: Driver, options: str) -> dict[str, Any]:
    connection = driver.connect(options)
    insert = connection.prepareStatement(
        "INSERT INTO written (k, n, d, p, s, on_, at_, b) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
    insert.setInt(1, 1)
    insert.setLong(2, -(2**63))
    insert.setDouble(3, 0.1)
    insert.setBigDecimal(4, driver.jvm.java.math.BigDecimal("123.4567"))
    insert.setString(5, driver.text)
    insert.setDate(6, driver.jvm.java.sql.Date.valueOf("2026-11-21"))
    insert.setTimestamp(7, driver.jvm.java.sql.Timestamp.valueOf("2026-11-21 09:14:10.5"))
    insert.setBoolean(8, True)
    counts = [insert.executeUpdate()]
    insert.setInt(1, 2)
    for index in range(2, 9):
        insert.setNull(index, 0)
    counts.append(insert.executeUpdate())
    query = connection.prepareStatement("SELECT * FROM written WHERE k = ? OR s = ? ORDER BY k")
    answers = []
    for key, text in ((1, None), (2, driver.text), (3, "nothing")):
        query.setInt(1, key)
        query.setString(2, text)
        answers.append(driver.rows(query.executeQuery()))
    kind = insert.getClass().getSimpleName()
    delete = connection.prepareStatement("DELETE FROM written WHERE k > ?")
    delete.setInt(1, 0)
    counts.append(delete.executeUpdate())
    connection.close()
    return {"class": kind, "counts": counts, "answers": answers}


def batch(driver: Driver, options: str, rows: int) -> dict[str, Any]:
    connection = driver.connect(options)
    insert = connection.prepareStatement("INSERT INTO written (k, s, p) VALUES (?, ?, ?)")
    for number in range(1, rows + 1):
        insert.setInt(1, number)
        insert.setString(2, f"{number}'{driver.text}")
        insert.setBigDecimal(3, driver.jvm.java.math.BigDecimal(f"{number}.25"))
        insert.addBatch()
    answers = len(list(insert.executeBatch()))
    statement = connection.createStatement()
    found = driver.rows(
        statement.executeQuery("SELECT count(*), count(DISTINCT s), sum(p) FROM written")
    )
    deleted = statement.executeUpdate("DELETE FROM written WHERE k > 0")
    connection.close()
    return {"answers": answers, "found": found, "deleted": deleted}


def transactions(driver: Driver) -> dict[str, Any]:
    connection = driver.connect()
    other = driver.connect().createStatement()
    statement = connection.createStatement()
    count = "SELECT count(*) FROM written"
    found: dict[str, Any] = {}
    connection.setAutoCommit(False)
    statement.executeUpdate("INSERT INTO written (k) VALUES (1)")
    connection.setAutoCommit(True)
    found["autocommit"] = driver.rows(other.executeQuery(count))
    for end in ("ROLLBACK", "COMMIT"):
        statement.execute("BEGIN")
        statement.executeUpdate("INSERT INTO written (k) VALUES (2), (3)")
        found[f"before {end}"] = driver.rows(other.executeQuery(count))
        statement.execute(end)
        found[end] = driver.rows(other.executeQuery(count))
    statement.executeUpdate("DELETE FROM written WHERE k > 0")
    connection.close()
    return found


def results(driver: Driver) -> dict[str, Any]:
    connection = driver.connect("&allowMultiQueries=true")
    series = "SELECT generate_series FROM TABLE(generate_series(1, 5000))"
    limited = connection.createStatement()
    limited.setMaxRows(7)
    few = len(driver.rows(limited.executeQuery(series)))
    limited.setMaxRows(0)
    all_of_them = len(driver.rows(limited.executeQuery(series)))
    streamed = connection.createStatement(1003, 1007)
    streamed.setFetchSize(-(2**31))
    sent = driver.rows(streamed.executeQuery(series))
    several = connection.createStatement()
    several.execute("SELECT 1; SELECT 'two'")
    first = driver.rows(several.getResultSet())
    several.getMoreResults()
    second = driver.rows(several.getResultSet())
    slow = connection.createStatement()
    slow.setQueryTimeout(1)
    timeout = driver.refusal(lambda: slow.executeQuery(ENDLESS))
    alive = driver.rows(connection.createStatement().executeQuery("SELECT 1"))
    connection.close()
    cursor = driver.connect("&useCursorFetch=true&defaultFetchSize=100")
    fetched = len(driver.rows(cursor.createStatement().executeQuery(series)))
    cursor.close()
    return {
        "few": few,
        "all": all_of_them,
        "streamed": [len(sent), sent[0], sent[-1]],
        "several": [first, second],
        "timeout": timeout,
        "alive": alive,
        "fetched": fetched,
    }


def errors(driver: Driver) -> dict[str, Any]:
    connection = driver.connect()
    statement = connection.createStatement()
    found = {
        sql: driver.refusal(lambda sql=sql: statement.execute(sql))
        for sql in (
            "SELECT * FROM no_such_table",
            "SELECT no_such_column FROM kinds",
            "SELEC 1",
            "USE no_such_database",
            "DROP TABLE no_such_table",
            "CREATE TABLE kinds (k INT) DUPLICATE KEY (k)",
            "CREATE DATABASE d",
        )
    }
    found["alive"] = driver.rows(statement.executeQuery("SELECT 1"))
    connection.close()
    found["password"] = driver.refusal(lambda: driver.connect(password="wrong"))
    found["database"] = driver.refusal(lambda: driver.connect(database="no_such_database"))
    return found


def main(*arguments: str) -> None:
    driver = Driver(*arguments)
    print(
        json.dumps(
            {
                "metadata": metadata(driver),
                "row": one_row(driver),
                "emulated": prepared(driver, ""),
                "server": prepared(driver, "&useServerPrepStmts=true"),
                "cached": prepared(driver, "&useServerPrepStmts=true&cachePrepStmts=true"),
                "batch": batch(driver, "", 50),
                "rewritten": batch(driver, "&rewriteBatchedStatements=true", 3000),
                "server batch": batch(
                    driver, "&useServerPrepStmts=true&rewriteBatchedStatements=true", 700
                ),
                "transactions": transactions(driver),
                "results": results(driver),
                "errors": errors(driver),
            }
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
