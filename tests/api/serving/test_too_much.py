"""Row 50: too much of everything for HTTP, at a real door; who does nothing wrong is served."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest

from emdata.settings import REPOSITORY
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
HEAD_SECONDS, STALL_SECONDS, BODY_SECONDS = 1.0, 1.0, 1.0
HEADER_BYTES, BODY_BYTES = 32 << 10, 1 << 20
PROCESSES: dict[int, int] = {}
"""Process ids of doors by their port."""


@contextmanager
def door(connections: int = 500, head_seconds: float = HEAD_SECONDS) -> Iterator[int]:
    """The door's port."""
    limits = (connections, HEADER_BYTES, head_seconds, STALL_SECONDS, BODY_BYTES, BODY_SECONDS)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.api.serving.served", *map(str, limits)],
        cwd=REPOSITORY, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        PROCESSES[port] = process.pid
        wait_for(lambda: status(port, "GET", "/") == 200, 20, "the door to open")
        yield port
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with door() as opened:
        yield opened


def status(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
    """The status of one request on a connection of its own; 0 when nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except ConnectionRefusedError:
        return 0
    finally:
        connection.close()


def peers(port: int) -> set[int]:
    """The ports of all whose connection the door's process holds."""
    found = psutil.Process(PROCESSES[port]).net_connections("tcp")
    return {one.raddr.port for one in found if one.raddr and one.laddr.port == port}


def said(port: int, text: bytes, then: bytes = b"", timeout: float = 20) -> bytes:
    """All that comes back for some bytes until the other side closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as client:
        client.sendall(text)
        found = b""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            if then:
                client.sendall(then)
            while piece := client.recv(1 << 16):
                found += piece
        return found


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([*lines, b"Host: x", b"", b""])


def test_fault_50_headers_of_a_megabyte_are_431_however_they_come(port: int) -> None:
    megabyte = b"a" * (1 << 20)
    for request in (
        head(b"GET / HTTP/1.1", b"X-Large: " + megabyte),
        head(b"GET / HTTP/1.1", *(b"X-%d: %s" % (n, b"b" * 1000) for n in range(90))),
        head(b"GET / HTTP/1.1", *(b"X-%d: b" % n for n in range(1000))),
        head(b"GET /?" + megabyte + b" HTTP/1.1"),
    ):
        answer = said(port, request)
        assert answer.startswith(b"HTTP/1.1 431 "), answer[:100]
        assert b"application/problem+json" in answer
        assert b"headers-too-large" in answer
    assert status(port, "GET", "/") == 200
    assert status(port, "GET", "/", **{"X-Fine": "c" * 30_000}) == 200


def test_fault_50_a_body_of_100_megabytes_is_413_before_it_is_sent(port: int) -> None:
    begun = time.monotonic()
    answer = said(
        port, head(b"POST /echo HTTP/1.1", b"Content-Length: 104857600", b"Expect: 100-continue")
    )
    assert answer.startswith(b"HTTP/1.1 413 "), answer[:100]
    assert b"100 Continue" not in answer
    assert b"1048576 bytes" in answer
    assert time.monotonic() - begun < 5


def test_fault_50_a_body_that_does_not_say_its_size_is_413_at_the_limit(port: int) -> None:
    chunk = b"10000\r\n" + b"d" * 0x10000 + b"\r\n"
    answer = said(port, head(b"POST /echo HTTP/1.1", b"Transfer-Encoding: chunked"), chunk * 40)
    assert b" 413 " in answer[:40] or not answer  # a reset may overtake the answer
    assert status(port, "POST", "/echo", b"e" * BODY_BYTES) == 200
    # Said at once: whoever sent the body meanwhile might see a reset before the answer.
    announced = said(port, head(b"POST /echo HTTP/1.1", b"Content-Length: %d" % (BODY_BYTES + 1)))
    assert b" 413 " in announced[:40]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_fault_50_deep_json_is_refused_quickly(port: int, opening: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    deep = opening * (BODY_BYTES // len(opening) - 10)
    begun = time.monotonic()
    assert status(port, "POST", "/json", deep, **kind) == 422
    assert time.monotonic() - begun < 2
    assert status(port, "POST", "/json", b'{"a": [[{"b": 1}]]}', **kind) == 200


def test_fault_50_a_head_that_does_not_end_is_cut_off(port: int) -> None:
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = client.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408 "), answer[:100]
        while client.recv(1 << 16):
            pass
    assert HEAD_SECONDS * 0.5 < time.monotonic() - begun < HEAD_SECONDS + 10


def test_fault_50_a_connection_that_says_nothing_is_closed(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        assert client.recv(1) == b""


def test_fault_50_a_body_that_drips_is_cut_off(port: int) -> None:
    request = head(b"POST /echo HTTP/1.1", b"Content-Length: 1000")
    answer = said(port, request, b"only this")
    assert answer.startswith(b"HTTP/1.1 408 "), answer[:100]
    assert b"too-slow" in answer


def test_fault_50_a_reader_that_takes_nothing_is_cut_off(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.sendall(head(b"GET /large HTTP/1.1"))
        ours = client.getsockname()[1]
        wait_for(lambda: ours in peers(port), 10, "the door to know the connection")
        wait_for(lambda: ours not in peers(port), 20, "the door to give it up")


def test_fault_50_connections_beyond_the_limit_are_503_and_the_others_go_on() -> None:
    with door(connections=50) as port, contextlib.ExitStack() as held:
        kept = held.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)))
        kept.request("GET", "/")
        assert kept.getresponse().read()
        for _ in range(49):
            held.enter_context(socket.create_connection(("127.0.0.1", port)))
        answer = said(port, b"")
        assert answer.startswith(b"HTTP/1.1 503 "), answer[:100]
        assert b"Retry-After" in answer or b"retry-after" in answer
        kept.request("GET", "/")
        assert kept.getresponse().status == 200


def test_fault_50_what_is_no_http_gets_a_problem_and_no_more(port: int) -> None:
    answer = said(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in answer


@pytest.mark.long
def test_fault_50_ten_thousand_idle_connections_leave_others_at_twice_their_p99() -> None:
    """As many as the system's limit of files allows, up to 10,000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    count = min(10_000, hard - 500)
    try:
        with door(connections=12_000, head_seconds=600) as port, contextlib.ExitStack() as held:
            before = _p99(port)
            for _ in range(count):
                held.enter_context(socket.create_connection(("127.0.0.1", port)))
            wait_for(lambda: len(peers(port)) >= count, 60, "all to be taken", interval=1)
            during = _p99(port)
            assert during < 2 * max(before, 0.005), (before, during, count)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.long
def test_fault_50_slow_heads_leave_others_at_twice_their_p99(port: int) -> None:
    before = _p99(port)
    with contextlib.ExitStack() as held:
        for _ in range(300):
            client = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            client.sendall(b"GET / HTTP/1.1\r\n")
        during = _p99(port)
    assert during < 2 * max(before, 0.01), (before, during)


def _p99(port: int, requests: int = 400) -> float:
    """The 99th percentile of seconds of requests one after the other, on four connections."""

    def run(_: int) -> list[float]:
        found = []
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for _ in range(requests // 4):
                begun = time.perf_counter()
                connection.request("GET", "/")
                connection.getresponse().read()
                found.append(time.perf_counter() - begun)
        return found

    with ThreadPoolExecutor(4) as pool:
        return statistics.quantiles(
            [one for many in pool.map(run, range(4)) for one in many], n=100
        )[98]
