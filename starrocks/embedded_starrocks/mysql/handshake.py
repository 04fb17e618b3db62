"""The first packets of a connection: greeting, the client's answer, OK, ERR and EOF.

Source: MySQL internals manual, "Connection Phase".
"""

from __future__ import annotations

import dataclasses

from embedded_starrocks.errors import SqlError
from embedded_starrocks.mysql.auth import PLUGIN
from embedded_starrocks.mysql.packets import PayloadReader, lenenc_int

# Connector/J and dbt read a MySQL version here; StarRocks sends such a one too.
SERVER_VERSION = "8.0.33"

LONG_PASSWORD = 0x1
FOUND_ROWS = 0x2
CONNECT_WITH_DB = 0x8
PROTOCOL_41 = 0x200
SSL = 0x800
TRANSACTIONS = 0x2000
SECURE_CONNECTION = 0x8000
MULTI_STATEMENTS = 0x10000
MULTI_RESULTS = 0x20000
PLUGIN_AUTH = 0x80000
CONNECT_ATTRS = 0x100000
LENENC_AUTH = 0x200000
DEPRECATE_EOF = 0x1000000

CAPABILITIES = (
    LONG_PASSWORD
    | FOUND_ROWS
    | CONNECT_WITH_DB
    | PROTOCOL_41
    | TRANSACTIONS
    | SECURE_CONNECTION
    | MULTI_STATEMENTS
    | MULTI_RESULTS
    | PLUGIN_AUTH
    | CONNECT_ATTRS
    | LENENC_AUTH
)
STATUS_AUTOCOMMIT = 0x2
STATUS_MORE_RESULTS = 0x8
_CHARSET_UTF8 = 33


@dataclasses.dataclass(frozen=True)
class Login:
    """What the client's handshake response says."""

    capabilities: int
    user: str
    scramble: bytes
    database: str
    plugin: str


def is_tls_request(payload: bytes) -> bool:
    """Whether the client asks for TLS: a login cut off in front of the user's name."""
    return len(payload) == 32 and bool(int.from_bytes(payload[:4], "little") & SSL)


def greeting(connection_id: int, nonce: bytes, has_tls: bool = False) -> bytes:
    capabilities = CAPABILITIES | SSL if has_tls else CAPABILITIES
    return (
        b"\x0a"
        + SERVER_VERSION.encode()
        + b"\0"
        + connection_id.to_bytes(4, "little")
        + nonce[:8]
        + b"\0"
        + (capabilities & 0xFFFF).to_bytes(2, "little")
        + bytes((_CHARSET_UTF8,))
        + STATUS_AUTOCOMMIT.to_bytes(2, "little")
        + (capabilities >> 16).to_bytes(2, "little")
        + bytes((len(nonce) + 1,))
        + bytes(10)
        + nonce[8:]
        + b"\0"
        + PLUGIN.encode()
        + b"\0"
    )


def parse_login(payload: bytes) -> Login:
    """The client's answer to the greeting. Raises ProtocolError for a malformed one."""
    reader = PayloadReader(payload)
    capabilities = reader.integer(4)
    if not capabilities & PROTOCOL_41:
        raise SqlError(1043, "08S01", "Bad handshake: the client is too old (no 4.1 protocol)")
    if len(payload) == 32 and capabilities & SSL:
        raise SqlError(1043, "08S01", "Bad handshake: TLS is not offered by this server")
    reader.take(4 + 1 + 23)
    user = reader.until_zero().decode("utf-8", "replace")
    if capabilities & LENENC_AUTH:
        scramble = reader.lenenc_bytes()
    else:
        scramble = reader.take(reader.integer(1))
    database = ""
    if capabilities & CONNECT_WITH_DB and reader.remaining:
        database = reader.until_zero().decode("utf-8", "replace")
    plugin = PLUGIN
    if capabilities & PLUGIN_AUTH and reader.remaining:
        plugin = reader.until_zero().decode("utf-8", "replace")
    return Login(capabilities, user, scramble, database, plugin)


def switch_plugin(nonce: bytes) -> bytes:
    """Ask the client to authenticate again, with mysql_native_password."""
    return b"\xfe" + PLUGIN.encode() + b"\0" + nonce + b"\0"


def ok_packet(affected: int, status: int, info: str = "") -> bytes:
    return (
        b"\0"
        + lenenc_int(affected)
        + lenenc_int(0)
        + status.to_bytes(2, "little")
        + b"\0\0"
        + info.encode("utf-8")
    )


def eof_packet(status: int) -> bytes:
    return b"\xfe\0\0" + status.to_bytes(2, "little")


def error_packet(error: SqlError) -> bytes:
    return (
        b"\xff"
        + error.code.to_bytes(2, "little")
        + b"#"
        + error.sqlstate.encode()
        + error.message.encode("utf-8")[:4096]
    )
