"""A thin client of Flink's REST interface.

https://nightlies.apache.org/flink/flink-docs-release-1.20/docs/ops/rest_api/
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import httpx2

from flink_jobs.errors import FlinkRefused, FlinkUnavailable

TERMINAL = frozenset({"FINISHED", "CANCELED", "FAILED", "SUSPENDED"})


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A job on the cluster. ``state`` says RUNNING even while its TaskManager is dead."""

    job_id: str
    name: str
    state: str

    @property
    def is_alive(self) -> bool:
        """Whether the cluster still works on this job."""
        return self.state not in TERMINAL


@dataclass(frozen=True, slots=True)
class Health:
    """What tells whether a job does its work.

    vertices: states by vertex name. checkpoints: completed since submission.
    checkpoint_at: ms since the epoch of the last completed one. failure: the last root cause.
    """

    state: str
    vertices: tuple[tuple[str, str], ...]
    checkpoints: int
    checkpoint_at: int | None
    failure: str

    @property
    def is_running(self) -> bool:
        """Whether every vertex runs; the job's own state is not enough."""
        return bool(self.vertices) and all(state == "RUNNING" for _, state in self.vertices)


class FlinkRest:
    """Raises FlinkUnavailable when Flink does not answer and FlinkRefused when it says no."""

    def __init__(self, host: str, port: int, *, timeout: float = 10.0) -> None:
        self._client = httpx2.Client(
            base_url=f"http://{host}:{port}", timeout=timeout, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def slots(self) -> int:
        """Return the number of slots that TaskManagers have registered."""
        return int(self._call("GET", "/overview")["slots-total"])

    def jobs(self) -> list[JobStatus]:
        """Return all jobs the cluster remembers, finished ones included."""
        answer = self._call("GET", "/jobs/overview")
        return [JobStatus(job["jid"], job["name"], job["state"]) for job in answer["jobs"]]

    def health(self, job_id: str) -> Health:
        """Return the states of a job's vertices, its checkpoints and its last failure."""
        job = self._call("GET", f"/jobs/{job_id}")
        checkpoints = self._call("GET", f"/jobs/{job_id}/checkpoints")
        exceptions = self._call("GET", f"/jobs/{job_id}/exceptions?maxExceptions=1")
        history = exceptions.get("exceptionHistory", {}).get("entries", [])
        latest = (checkpoints.get("latest") or {}).get("completed") or {}
        return Health(
            state=job["state"],
            vertices=tuple((v["name"], v["status"]) for v in job["vertices"]),
            checkpoints=int((checkpoints.get("counts") or {}).get("completed", 0)),
            checkpoint_at=latest.get("latest_ack_timestamp"),
            failure=_root_cause(history[0]["stacktrace"]) if history else "",
        )

    def state(self, job_id: str) -> str:
        """Return a job's state, or NOT_FOUND."""
        for job in self.jobs():
            if job.job_id == job_id:
                return job.state
        return "NOT_FOUND"

    def cancel(self, job_id: str) -> None:
        """Ask for cancellation; returns before it happened."""
        self._call("PATCH", f"/jobs/{job_id}?mode=cancel")

    def stop(self, job_id: str, directory: str) -> str:
        """Ask for a stop with a savepoint below ``directory``; returns the trigger's id."""
        body = {"drain": False, "targetDirectory": directory}
        return str(self._call("POST", f"/jobs/{job_id}/stop", body)["request-id"])

    def savepoint(self, job_id: str, trigger: str) -> tuple[Literal["busy", "done", "failed"], str]:
        """Return how far a savepoint is, with its path when done or its cause when failed."""
        answer = self._call("GET", f"/jobs/{job_id}/savepoints/{trigger}")
        if answer["status"]["id"] != "COMPLETED":
            return "busy", ""
        operation = answer["operation"]
        if "location" in operation:
            return "done", str(operation["location"])
        cause = operation.get("failure-cause", {}).get("stack-trace", "")
        return "failed", _root_cause(str(cause))

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx2.HTTPError as error:
            raise FlinkUnavailable(f"Flink at {self._client.base_url}: {error!r}") from error
        if answer.status_code >= 500:
            raise FlinkUnavailable(
                f"Flink {method} {path}: {answer.status_code} {answer.text[:300]}"
            )
        if answer.status_code >= 400:
            raise FlinkRefused(f"Flink {method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer.json() if answer.content else None


def _root_cause(stack: str) -> str:
    """The innermost message of a Java stack trace, cut to 400 characters."""
    causes = [line for line in stack.splitlines() if line.startswith("Caused by: ")]
    first = stack.splitlines()[0] if stack else ""
    return (causes[-1].removeprefix("Caused by: ") if causes else first)[:400]
