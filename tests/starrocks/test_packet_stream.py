"""Packets over a blocking socket, and the time limit that another thread looks at."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedded_starrocks.mysql.packets import PacketStream, ProtocolError
from embedded_starrocks.mysql.session import Limit

Pair = tuple[PacketStream, socket.socket]
WITHIN = 5.0


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield PacketStream(ours, 1000), theirs


def packet(sequence: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "little") + bytes((sequence,)) + payload


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payloads=st.lists(st.binary(max_size=100), max_size=8), ahead=st.booleans(), cut=st.data())
def test_payloads_are_whole_however_their_bytes_arrive(
    payloads: list[bytes], ahead: bool, cut: st.DataObject
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stream = PacketStream(ours, 1000)
        if ahead:
            stream.read_ahead()
        data = b"".join(packet(index, payload) for index, payload in enumerate(payloads))
        at = cut.draw(st.integers(0, len(data)))
        theirs.sendall(data[:at])
        sender = threading.Thread(target=theirs.sendall, args=(data[at:],))
        sender.start()
        assert [stream.read(WITHIN) for _ in payloads] == payloads
        sender.join()


def test_what_lies_behind_a_request_for_tls_is_not_taken_from_the_socket(pair: Pair) -> None:
    stream, theirs = pair
    theirs.sendall(packet(0, b"request") + b"hello of TLS")
    assert stream.read(WITHIN) == b"request"
    assert stream._socket.recv(100) == b"hello of TLS"


def test_a_packet_out_of_turn_or_too_large_ends_the_reading(pair: Pair) -> None:
    stream, theirs = pair
    theirs.sendall(packet(7, b"x"))
    with pytest.raises(ProtocolError, match="packet 7 came where 0 was due"):
        stream.read(WITHIN)
    stream.restart()
    theirs.sendall((1001).to_bytes(3, "little") + b"\0")
    with pytest.raises(ProtocolError):
        stream.read(WITHIN)


def test_a_silent_peer_is_waited_for_so_long_and_a_slow_one_no_longer(pair: Pair) -> None:
    stream, theirs = pair
    with pytest.raises(TimeoutError):
        stream.read(0.01)
    theirs.sendall(b"\x05\0\0")
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        stream.read(0.05)
    assert time.monotonic() - began < WITHIN


def test_a_reader_ends_when_another_thread_disconnects_it(pair: Pair) -> None:
    stream, _ = pair
    ended: list[bool] = []

    def read() -> None:
        try:
            stream.read(60)
        except EOFError:
            ended.append(True)

    reader = threading.Thread(target=read)
    reader.start()
    stream.disconnect()
    reader.join(WITHIN)
    assert ended == [True]
    with pytest.raises(EOFError):
        stream.send(b"too late")


def test_a_statement_is_stopped_once_and_never_the_one_behind_it() -> None:
    limit = Limit()
    stopped: list[float] = []
    limit.look(time.monotonic() + 100)
    limit.begin(2.0, stopped.append)
    limit.look(time.monotonic())
    assert stopped == []
    limit.look(time.monotonic() + 3)
    limit.look(time.monotonic() + 3)
    assert stopped == [2.0]
    limit.begin(2.0, stopped.append)
    limit.end()
    limit.look(time.monotonic() + 3)
    assert stopped == [2.0]
