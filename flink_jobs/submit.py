"""Compiles and submits planned jobs. Runs in the Flink environment: pyflink and stdlib only.

Usage: ``python submit.py --rest-address HOST --rest-port PORT``. Requests are JSON objects, one a
line, on standard input; every request gets one JSON answer a line on standard output. The JVM is
started, and its planner warmed up, while nobody waits for it; ``{"event": "ready"}`` says so.

    {"command": "compile", "job": JOB}                    -> {"event": "compiled", "plan": ...}
    {"command": "submit", "job": JOB, "restore": PATH}    -> {"event": "submitted", "job_id": ...}

A failure is answered with ``{"event": "failed", "name": ..., "error": ...}`` and the process goes
on; it ends with its input. JOB is an object of ``flink_jobs.plan``. The password is read from
STARROCKS_PASSWORD and put into the statements here, so that no plan holds it.

The Table API is called through PyFlink's gateway: importing ``pyflink.table`` costs seconds and
brings nothing that SQL needs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import IO, Any

PASSWORD_VARIABLE = "STARROCKS_PASSWORD"  # noqa: S105 (a name)
PASSWORD_PLACEHOLDER = "${STARROCKS_PASSWORD}"  # noqa: S105 (a placeholder)
_WARM_UP = (
    "CREATE TEMPORARY TABLE `warm_source` (`k` STRING, `v` STRING, `at` TIMESTAMP(6), `n` BIGINT) "
    "WITH ('connector' = 'datagen', 'number-of-rows' = '1')",
    "CREATE TEMPORARY TABLE `warm_sink` (`hour` TIMESTAMP(6), `k` STRING, `n` BIGINT) "
    "WITH ('connector' = 'blackhole')",
)
_WARM_UP_INSERT = (
    "INSERT INTO `warm_sink` SELECT FLOOR(`at` TO HOUR), `k`, COUNT(DISTINCT `n`) FROM (SELECT *, "
    "ROW_NUMBER() OVER (PARTITION BY `k` ORDER BY `v` DESC) AS `rn` FROM `warm_source`) "
    "WHERE `rn` = 1 GROUP BY FLOOR(`at` TO HOUR), `k`"
)


class Planner:
    """One JVM; an environment of its own for every statement set."""

    def __init__(self, rest_address: str, rest_port: int, password: str) -> None:
        from pyflink.java_gateway import get_gateway

        self._gateway = get_gateway()
        self._jvm = self._gateway.jvm
        self._password = password.replace("'", "''")
        self._target = {
            "execution.target": "remote",
            "execution.attached": "false",
            "rest.address": rest_address,
            "rest.port": str(rest_port),
        }

    def warm_up(self) -> None:
        """Load the planner's classes, which takes most of the time of a first compilation."""
        self._explain(self._statement_set({}, _WARM_UP, [_WARM_UP_INSERT]))

    def compile(self, job: dict[str, Any]) -> dict[str, Any]:
        """Plan a job down to its operators; the connectors check their tables meanwhile."""
        text = self._explain(self._job(job, None))
        return {"event": "compiled", "name": job["name"], "plan": text}

    def submit(self, job: dict[str, Any], restore: str | None) -> dict[str, Any]:
        """Submit a job, from a checkpoint or savepoint if one is given."""
        result = self._job(job, restore).execute()
        job_id = result.getJobClient().get().getJobID().toString()
        return {"event": "submitted", "name": job["name"], "job_id": job_id}

    def _job(self, job: dict[str, Any], restore: str | None) -> Any:
        config = dict(job["config"])
        if restore is not None:
            config["execution.state-recovery.path"] = restore
            config["execution.state-recovery.claim-mode"] = "NO_CLAIM"
        return self._statement_set(config, job["setup"], job["inserts"])

    def _statement_set(
        self, config: dict[str, str], setup: list[str] | tuple[str, ...], inserts: list[str]
    ) -> Any:
        configuration = self._jvm.org.apache.flink.configuration.Configuration()
        for name, value in {**self._target, **config}.items():
            configuration.setString(name, value)
        api = self._jvm.org.apache.flink.table.api
        settings = (
            api.EnvironmentSettings.newInstance()
            .inStreamingMode()
            .withConfiguration(configuration)
            .build()
        )
        environment = api.TableEnvironment.create(settings)
        for statement in setup:
            environment.executeSql(statement.replace(PASSWORD_PLACEHOLDER, self._password))
        statements = environment.createStatementSet()
        for statement in inserts:
            statements.addInsertSql(statement)
        return statements

    def _explain(self, statements: Any) -> str:
        api = self._jvm.org.apache.flink.table.api
        # The JSON plan is made from the operators, so it needs every sink to be ready.
        details = self._gateway.new_array(api.ExplainDetail, 1)
        details[0] = api.ExplainDetail.JSON_EXECUTION_PLAN
        return str(statements.explain(api.ExplainFormat.TEXT, details))


def serve(planner: Planner, requests: IO[str], answers: IO[str]) -> None:
    """Answer requests until the input ends."""
    commands: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "compile": lambda request: planner.compile(request["job"]),
        "submit": lambda request: planner.submit(request["job"], request.get("restore")),
    }
    for line in requests:
        request = json.loads(line)
        try:
            answer = commands[request["command"]](request)
        except Exception as error:  # noqa: BLE001 (the edge: every Java error becomes an answer)
            name = request.get("job", {}).get("name", "")
            answer = {"event": "failed", "name": name, "error": _cause(error)}
        _write(answers, answer)


def _cause(error: Exception) -> str:
    """The messages of a Java error and its causes, without its stack."""
    java = getattr(error, "java_exception", None)
    messages: list[str] = []
    while java is not None and len(messages) < 8:
        message = str(java.getMessage() or java.getClass().getSimpleName())
        if message not in messages:
            messages.append(message)
        java = java.getCause()
    if not messages:
        lines = str(error).splitlines() or [repr(error)]
        messages = [line for line in lines if "Exception" in line or "Error" in line][:4] or lines[
            :1
        ]
    return ": ".join(messages)


def _write(stream: IO[str], answer: dict[str, Any]) -> None:
    stream.write(json.dumps(answer) + "\n")
    stream.flush()


def _drain_jvm_errors() -> None:
    """Make PyFlink's JVM write its errors to ours; a pipe that nobody reads would fill and hang."""
    from pyflink import java_gateway

    launch = java_gateway.launch_gateway_server_process

    def launch_and_drain(env: dict[str, str], args: list[str]) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] = launch(env, args)

        def copy() -> None:
            for line in process.stderr or ():
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()

        threading.Thread(target=copy, name="jvm-stderr", daemon=True).start()
        return process

    java_gateway.launch_gateway_server_process = launch_and_drain


def main() -> int:
    """Start the JVM, warm it up and serve."""
    parser = argparse.ArgumentParser(description="Compile and submit planned Flink jobs.")
    parser.add_argument("--rest-address", required=True)
    parser.add_argument("--rest-port", required=True, type=int)
    arguments = parser.parse_args()
    # The JVM inherits standard output; answers keep a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _drain_jvm_errors()
    password = os.environ.get(PASSWORD_VARIABLE, "")
    planner = Planner(arguments.rest_address, arguments.rest_port, password)
    planner.warm_up()
    _write(answers, {"event": "ready"})
    serve(planner, sys.stdin, answers)
    return 0


if __name__ == "__main__":
    sys.exit(main())
