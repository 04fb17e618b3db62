"""A Flink cluster without Kafka: a JobManager, and TaskManagers that may be killed at any time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from emdata.credentials import ensure_credentials
from flink_jobs.plan import Job
from flink_jobs.rest import FlinkRest
from flink_jobs.session import Session
from runtime.context import Context
from runtime.install import find_java
from runtime.services import flink
from runtime.services.base import NotReady, Service
from tests.starrocks.running import PASSWORD
from tests.support.platform import Platform
from tests.support.waiting import wait_for

# A dead TaskManager is noticed, and its jobs started again, sooner than in production.
QUICK = {
    "heartbeat.interval": "1 s",
    "heartbeat.timeout": "10 s",
    "cluster.registration.error-delay": "500 ms",
    "restart-strategy.exponential-delay.initial-backoff": "200 ms",
    "restart-strategy.exponential-delay.max-backoff": "1 s",
}
READY_S = 120.0


class FlinkCluster:
    """The platform's own Flink servers, on ports and in a directory of the test's own."""

    def __init__(self, directory: Path) -> None:
        # Made, not started: it gives ports, paths and settings.
        platform = Platform(directory)
        self._settings = platform.settings
        self._paths = platform.paths
        self._java = find_java(os.environ)
        self.context = Context(self._settings, self._paths, ensure_credentials(self._settings))
        self._processes: list[subprocess.Popen[bytes]] = []
        self._task_manager: subprocess.Popen[bytes] | None = None
        self.rest = FlinkRest("127.0.0.1", self._settings.flink_rest_port)
        flink.prepare(self.context)
        self._paths.logs.mkdir(parents=True, exist_ok=True)
        self.session = Session.start(
            self._settings,
            self._paths,
            PASSWORD,
            {**os.environ, "JAVA_HOME": str(self._java.home)},
        )

    def start(self) -> None:
        """Start one JobManager and one TaskManager, and wait for both."""
        manager = flink.jobmanager(self.context, self._java)
        self._spawn(manager)
        self.start_task_manager()
        self._wait_ready(manager)
        self.wait_task_manager()

    def start_task_manager(self) -> None:
        self._task_manager = self._spawn(flink.taskmanager(self.context, self._java))

    def wait_task_manager(self) -> None:
        self._wait_ready(flink.taskmanager(self.context, self._java))

    def kill_task_manager(self) -> None:
        """SIGKILL: no task of it ends in order."""
        assert self._task_manager is not None
        self._task_manager.kill()
        self._task_manager.wait()

    def submit(
        self, name: str, setup: list[str], inserts: list[str], config: Mapping[str, str]
    ) -> str:
        """Submit a statement set; the id of its job."""
        job = Job(
            name=name,
            kind="landing",
            hash="",
            fingerprint="",
            datasets=(),
            tables=(),
            groups={},
            setup=tuple(setup),
            inserts=tuple(inserts),
            config={"pipeline.name": name, **config},
        )
        return self.session.submit(job)

    def restarts(self, job: str) -> int:
        """How many failures a job went on from."""
        exceptions = flink.rest(self.context, f"/jobs/{job}/exceptions?maxExceptions=100")
        return len(exceptions["exceptionHistory"]["entries"])

    def close(self) -> None:
        self.session.close()
        self.rest.__exit__(None, None, None)
        for process in self._processes:
            process.kill()
            process.wait()

    def _spawn(self, service: Service) -> subprocess.Popen[bytes]:
        command = list(service.command)
        for name, value in QUICK.items():
            command += ["-D", f"{name}={value}"]
        with (self._paths.logs / f"{service.name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env={**os.environ, **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._processes.append(process)
        return process

    def _wait_ready(self, service: Service) -> None:
        def is_ready() -> bool:
            ended = [
                process.args for process in self._processes if process.poll() not in (None, -9)
            ]
            assert not ended, f"a Flink server ended; see {self._paths.logs}"
            try:
                service.probe()
            except NotReady:
                return False
            return True

        wait_for(is_ready, READY_S, service.title, interval=0.1)


@contextmanager
def running_cluster(directory: Path) -> Iterator[FlinkCluster]:
    """A started cluster; every process of it is ended with the block."""
    cluster = FlinkCluster(directory)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()
