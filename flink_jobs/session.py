"""The process that compiles and submits jobs: started early, asked later.

Starting a JVM and loading Flink's planner takes seconds; a caller that has something else to wait
for starts the session first and uses it afterwards.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from emdata.paths import Paths
from emdata.settings import Settings
from flink_jobs.errors import ClientFailed, CompileError
from flink_jobs.plan import Job
from flink_jobs.submit import PASSWORD_VARIABLE

READY_WITHIN_S = 180.0
ANSWER_WITHIN_S = 120.0
_CLOSE_WITHIN_S = 10.0
_JVM_FLAGS = (
    "-Xmx512m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto "
    "--add-opens=java.base/java.net=ALL-UNNAMED"
)
_SCRIPT = Path(__file__).resolve().parent / "submit.py"


class Session:
    """A running client. Use as a context manager; ``close`` ends the process and its JVM."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._answers: queue.Queue[str | None] = queue.Queue()
        self._is_ready = False
        self._reader = threading.Thread(target=self._read, name="flink-client", daemon=True)
        self._reader.start()

    @classmethod
    def start(
        cls, settings: Settings, paths: Paths, password: str, environ: Mapping[str, str]
    ) -> Self:
        """Start the process and return at once. ``environ`` may name JAVA_HOME."""
        for folder in (paths.logs, scratch(paths)):
            folder.mkdir(parents=True, exist_ok=True)
        log = paths.logs / "flink-client.log"
        command = [
            str(paths.flink_python),
            str(_SCRIPT),
            *("--rest-address", settings.flink_host, "--rest-port", str(settings.flink_rest_port)),
        ]
        with log.open("ab") as errors:
            try:
                process = subprocess.Popen(
                    command,
                    env=client_environment(paths, password, environ),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    start_new_session=True,
                )
            except OSError as error:
                raise ClientFailed(
                    f"cannot start {command[0]}: {error}; run `make dev-setup`"
                ) from error
        return cls(process, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def wait_ready(self) -> None:
        """Wait until the JVM is up; raises ClientFailed when it does not come."""
        if not self._is_ready:
            self._next(READY_WITHIN_S)
            self._is_ready = True

    def compile(self, job: Job) -> str:
        """Compile a job and return its plan as text; raises CompileError."""
        answer = self._ask({"command": "compile", "job": msgspec.to_builtins(job)})
        if answer["event"] == "failed":
            raise CompileError(f"{job.name} does not compile: {answer['error']}")
        return str(answer["plan"])

    def submit(self, job: Job, restore: str | None = None) -> str:
        """Submit a job and return its id; raises CompileError when Flink refuses it."""
        answer = self._ask(
            {"command": "submit", "job": msgspec.to_builtins(job), "restore": restore}
        )
        if answer["event"] == "failed":
            raise CompileError(f"{job.name} was not accepted: {answer['error']}")
        return str(answer["job_id"])

    def close(self) -> None:
        """End the process; its JVM ends with its input."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_CLOSE_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=_CLOSE_WITHIN_S)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self.wait_ready()
        stream = self._process.stdin
        if stream is None:
            raise ClientFailed("the Flink client has no input")
        try:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise ClientFailed(f"the Flink client is gone ({error}); see {self._log}") from error
        return self._next(ANSWER_WITHIN_S)

    def _next(self, timeout: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise ClientFailed(
                f"the Flink client did not answer in {timeout:g} s; see {self._log}"
            ) from None
        if line is None:
            raise ClientFailed(f"the Flink client ended; see {self._log}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _read(self) -> None:
        if self._process.stdout is not None:
            for line in self._process.stdout:
                self._answers.put(line)
        self._answers.put(None)


def scratch(paths: Paths) -> Path:
    """Return the client's temporary directory."""
    return paths.flink / "tmp"


def client_environment(paths: Paths, password: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the client's environment: the cluster's own class path, so that no jar is uploaded."""
    home = paths.flink_home
    kept = {k: environ[k] for k in ("PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME") if k in environ}
    return {
        "PATH": os.defpath,
        **kept,
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(paths.flink_conf),
        "FLINK_LIB_DIR": str(home / "lib"),
        "FLINK_OPT_DIR": str(home / "opt"),
        "FLINK_PLUGINS_DIR": str(home / "plugins"),
        "FLINK_LOG_DIR": str(paths.logs),
        # Flink's planner unpacks itself into the temporary directory; a killed JVM leaves it there.
        "JVM_ARGS": f"{_JVM_FLAGS} -Djava.io.tmpdir={scratch(paths)}",
        "TZ": "UTC",
        PASSWORD_VARIABLE: password,
    }
