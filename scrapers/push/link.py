"""One connection to an MQTT broker on the event loop, acknowledged by hand.

MQTT 3.1.1 with a session that the broker keeps (clean session off). paho-mqtt's own reconnecting
is not used: a link is one connection and then gone, so that an acknowledgement of an old
connection can never be taken for one of a new message with the same number.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from emdata.errors import SourceUnavailable
from emdata.telemetry import get_logger

log = get_logger(__name__)
CONNECT_SECONDS = 10.0
Arrived = Callable[[MQTTMessage], None]


@dataclass(frozen=True)
class Broker:
    """Where the broker is and who we are to it. tls None: without TLS."""

    host: str
    port: int
    client_id: str
    topics: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    tls: ssl.SSLContext | None = None
    keepalive_seconds: int = 30

    @property
    def name(self) -> str:
        """For messages; without secrets."""
        return f"{'mqtt' if self.tls is None else 'mqtts'}://{self.host}:{self.port}"


class MqttLink:
    """``connect`` once; messages come to ``arrived`` until ``lost`` is done; then ``close``."""

    def __init__(self, broker: Broker, arrived: Arrived) -> None:
        self._broker, self._arrived = broker, arrived
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._connected: asyncio.Future[bool] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self._beat: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._client = self._make_client()

    def _make_client(self) -> Client:
        broker = self._broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if broker.user:
            client.username_pw_set(broker.user, broker.password)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.connect_timeout = CONNECT_SECONDS
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        client.on_socket_unregister_write = self._on_unregister_write
        return client

    async def connect(self) -> bool:
        """Connect and subscribe at QoS 1; returns whether the broker still had our session.

        Raises SourceUnavailable when the broker cannot be reached, or refuses us or a topic.
        """
        broker = self._broker
        try:
            async with asyncio.timeout(2 * CONNECT_SECONDS):
                # Names, TCP and TLS block, so they have a thread; all else is on this loop.
                await asyncio.to_thread(
                    self._client.connect, broker.host, broker.port, broker.keepalive_seconds
                )
                self._tick()
                had_session: bool = await self._first(self._connected)
                code, _ = self._client.subscribe([(topic, 1) for topic in broker.topics])
                if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
                    raise SourceUnavailable(f"{broker.name}: could not subscribe: {code.name}")
                await self._first(self._subscribed)
        except (OSError, ValueError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            raise SourceUnavailable(f"{broker.name}: {str(error) or 'no answer'}") from error
        return had_session

    def acknowledge(self, message: MQTTMessage) -> None:
        """Send PUBACK; on a lost connection nothing happens and the broker sends it again."""
        if message.qos and not self.lost.done():
            self._client.ack(message.mid, message.qos)

    def close(self) -> None:
        """Disconnect in good order; harmless on a lost connection."""
        if self._beat is not None:
            self._beat.cancel()
        self._client.disconnect()
        self._client.loop_write()
        # paho closes its socket only when it reads the broker's end; we do not wait for that.
        sock = self._client.socket()
        if sock is not None:
            self._on_socket_close(self._client, None, sock)
            with contextlib.suppress(OSError):
                sock.close()
        self._is_closed = True
        self._lose("closed")
        for future in (self._connected, self._subscribed):
            future.cancel()

    async def _first(self, wanted: asyncio.Future[Any]) -> Any:
        """Return the result of a future, or raise when the connection is lost before."""
        await asyncio.wait({wanted, self.lost}, return_when=asyncio.FIRST_COMPLETED)
        if not wanted.done():
            raise SourceUnavailable(f"{self._broker.name}: {self.lost.result()}")
        return wanted.result()

    def _tick(self) -> None:
        """Let paho send its pings and notice a dead peer, once a second."""
        if self.lost.done():
            return
        code = self._client.loop_misc()
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(code.name)
            return
        self._beat = self._loop.call_later(1.0, self._tick)

    def _lose(self, reason: str) -> None:
        if not self.lost.done():
            self.lost.set_result(reason)

    def _read(self) -> None:
        while True:
            code = self._client.loop_read()
            sock = self._client.socket()
            if code is not MQTTErrorCode.MQTT_ERR_SUCCESS or sock is None:
                self._lose(code.name)
                return
            # TLS may hold decoded bytes that no selector sees.
            if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                return

    def _write(self) -> None:
        code = self._client.loop_write()
        if code not in (MQTTErrorCode.MQTT_ERR_SUCCESS, MQTTErrorCode.MQTT_ERR_AGAIN):
            self._lose(code.name)

    # Called by paho, also from the thread that connects.

    def _in_loop(self, call: Callable[..., Any], *arguments: Any) -> None:
        if threading.get_ident() == self._thread:
            call(*arguments)
        else:
            self._loop.call_soon_threadsafe(call, *arguments)

    def _on_socket_open(self, _client: Client, _data: Any, sock: Any) -> None:
        self._in_loop(self._watch, sock)

    def _watch(self, sock: Any) -> None:
        if self._is_closed:
            sock.close()  # whoever asked for the connection was stopped meanwhile
        elif sock.fileno() >= 0:
            self._loop.add_reader(sock.fileno(), self._read)

    def _on_socket_close(self, _client: Client, _data: Any, sock: Any) -> None:
        number = sock.fileno()
        if number >= 0:
            self._in_loop(self._loop.remove_reader, number)
            self._in_loop(self._loop.remove_writer, number)

    def _on_register_write(self, _client: Client, _data: Any, sock: Any) -> None:
        self._in_loop(self._watch_writes, sock)

    def _watch_writes(self, sock: Any) -> None:
        if not self._is_closed and sock.fileno() >= 0:
            self._loop.add_writer(sock.fileno(), self._write)

    def _on_unregister_write(self, _client: Client, _data: Any, sock: Any) -> None:
        if sock.fileno() >= 0:
            self._in_loop(self._loop.remove_writer, sock.fileno())

    def _on_connect(
        self,
        _client: Client,
        _data: Any,
        flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._lose(f"refused: {reason}")
        elif not self._connected.done():
            self._connected.set_result(flags.session_present)

    def _on_subscribe(
        self,
        _client: Client,
        _data: Any,
        _mid: int,
        reasons: Sequence[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [
            topic
            for topic, reason in zip(self._broker.topics, reasons, strict=False)
            if reason.is_failure
        ]
        if refused:
            self._lose(f"refused to subscribe us to {', '.join(refused)}")
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _on_disconnect(
        self,
        _client: Client,
        _data: Any,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._in_loop(self._lose, f"connection lost: {reason}")

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        self._arrived(message)
