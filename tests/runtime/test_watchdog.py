"""Jobs that a restarted JobManager has forgotten."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from runtime.services.base import NotReady
from runtime.watchdog import missing_jobs, watch
from tests.support.ports import free_ports


class Cluster(BaseHTTPRequestHandler):
    """Answers /jobs/overview from a class attribute."""

    jobs: dict[str, str]

    def do_GET(self) -> None:
        body = json.dumps({"jobs": [{"jid": j, "state": s} for j, s in self.jobs.items()]})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def cluster() -> Iterator[HTTPServer]:
    Cluster.jobs = {}
    with HTTPServer(("127.0.0.1", 0), Cluster) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def jobs_file(tmp_path: Path) -> Path:
    file = tmp_path / "jobs.json"
    file.write_text(json.dumps({"jobs": {"alerts": {"job_id": "a"}, "bulk": {"job_id": "b"}}}))
    return file


def test_unknown_and_ended_jobs_are_missing(cluster: HTTPServer, jobs_file: Path) -> None:
    Cluster.jobs = {"a": "FAILED", "x": "RUNNING"}
    assert missing_jobs(jobs_file, cluster.server_port) == ["alerts", "bulk"]


def test_a_restarting_job_is_not_missing(cluster: HTTPServer, jobs_file: Path) -> None:
    Cluster.jobs = {"a": "RESTARTING", "b": "RUNNING"}
    assert missing_jobs(jobs_file, cluster.server_port) == []


def test_nothing_is_missing_before_the_first_deployment(tmp_path: Path) -> None:
    assert missing_jobs(tmp_path / "jobs.json", free_ports(1)[0]) == []


def test_a_jobmanager_that_is_away_says_nothing_about_jobs(jobs_file: Path) -> None:
    with pytest.raises(NotReady):
        missing_jobs(jobs_file, free_ports(1)[0])


def _watched(answers: list[list[str] | None]) -> int:
    """How often jobs are brought back when the cluster answers so (None: it is away)."""
    redeployed: list[int] = []
    queue = list(answers)

    def missing() -> list[str]:
        answer = queue.pop(0)
        if answer is None:
            raise NotReady("away")
        return answer

    def bring_back() -> int:
        redeployed.append(1)
        return 0

    watch(missing, bring_back, pause=lambda: bool(queue))
    return len(redeployed)


def test_jobs_missing_twice_are_brought_back_once() -> None:
    assert _watched([[], ["bulk"], ["bulk"], [], []]) == 1


def test_a_job_that_is_being_replaced_is_left_alone() -> None:
    assert _watched([["bulk"], [], ["bulk"], [], ["alerts"]]) == 0


def test_an_absent_jobmanager_is_waited_for() -> None:
    assert _watched([None, None, ["bulk"], None, ["bulk"]]) == 1
