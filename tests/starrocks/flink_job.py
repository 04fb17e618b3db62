"""A PyFlink program, run by Flink's own interpreter: rows and deletes into StarRocks' connector.

Arguments: MySQL port, HTTP port, password, sink semantic, number of rows, jar of the connector.
"""

from __future__ import annotations

import sys

from pyflink.table import EnvironmentSettings, TableEnvironment


def main(
    mysql_port: str, http_port: str, password: str, semantic: str, rows: str, jar: str
) -> None:
    table = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    config = table.get_config()
    config.set("pipeline.jars", f"file://{jar}")
    config.set("parallelism.default", "1")
    config.set("execution.checkpointing.interval", "1s")
    config.set("table.local-time-zone", "UTC")
    table.execute_sql(
        "CREATE TABLE source (id BIGINT, d DOUBLE, b BOOLEAN, txt STRING) WITH ("
        f"'connector' = 'datagen', 'number-of-rows' = '{rows}', 'rows-per-second' = '400', "
        "'fields.id.kind' = 'sequence', 'fields.id.start' = '1', "
        f"'fields.id.end' = '{rows}', 'fields.txt.length' = '20')"
    )
    mode = "'sink.at-least-once.use-transaction-stream-load' = 'false'"
    if semantic == "exactly-once":
        mode = "'sink.label-prefix' = 'trial'"
    for name, columns in (
        (
            "landed",
            "accepted_on DATE, writer INT, seq BIGINT, at_ TIMESTAMP(6), txt STRING, b BOOLEAN, "
            "d DOUBLE, f DECIMAL(10, 2), PRIMARY KEY (accepted_on, writer, seq) NOT ENFORCED",
        ),
        ("counted", "k BIGINT, cnt BIGINT, PRIMARY KEY (k) NOT ENFORCED"),
    ):
        table.execute_sql(
            f"CREATE TABLE {name} ({columns}) WITH ('connector' = 'starrocks', "
            f"'jdbc-url' = 'jdbc:mysql://127.0.0.1:{mysql_port}?useSSL=false', "
            f"'load-url' = '127.0.0.1:{http_port}', 'database-name' = 'd', "
            f"'table-name' = '{name}', 'username' = 'root', 'password' = '{password}', "
            f"'sink.semantic' = '{semantic}', {mode}, 'sink.properties.format' = 'json', "
            "'sink.properties.strip_outer_array' = 'true', "
            "'sink.buffer-flush.interval-ms' = '1000')"
        )
    statements = table.create_statement_set()
    statements.add_insert_sql(
        "INSERT INTO landed SELECT DATE '2026-11-21', 1, id, TIMESTAMP '2026-11-21 09:00:00', "
        "txt, b, d, CAST(id AS DECIMAL(10, 2)) / 4 FROM source"
    )
    # Keys move from group to group; a group that gets empty is deleted.
    statements.add_insert_sql(
        "INSERT INTO counted SELECT k, COUNT(*) FROM (SELECT id / 100 AS k, ROW_NUMBER() OVER "
        "(PARTITION BY MOD(id, 100) ORDER BY id DESC) AS rn FROM source) WHERE rn = 1 GROUP BY k"
    )
    statements.execute().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
