"""One client connection: login, then one command after another.

A failed login ends the connection after the error packet. Each connection has a thread of its own
that reads, runs the statement and sends its rows: handing a statement from thread to thread took
longer than a small query does.
"""

from __future__ import annotations

import datetime
import ssl
import threading
import time
from collections.abc import Callable

import structlog

from embedded_starrocks.errors import SqlError, access_denied, execution_error, unsupported
from embedded_starrocks.mysql import handshake, prepared
from embedded_starrocks.mysql.auth import PLUGIN, new_nonce, scramble_matches
from embedded_starrocks.mysql.packets import PacketStream, PayloadReader, ProtocolError, lenenc_int
from embedded_starrocks.mysql.resultset import (
    Done,
    ResultColumn,
    ResultSet,
    Row,
    column_definition,
    payloads,
    text_rows,
)
from embedded_starrocks.sql.context import Context, Session, Sessions
from embedded_starrocks.sql.dialect import Token
from embedded_starrocks.sql.executor import Result, execute, statements
from embedded_starrocks.sql.hints import set_var_hints
from embedded_starrocks.sql.prepare import result_columns
from embedded_starrocks.storage.store import Store

log = structlog.get_logger("embedded_starrocks")

MAX_PACKET = 64 * 1024 * 1024
LOGIN_SECONDS = 10.0
# A result is sent in pieces of at least this size, and a small one at once.
_SEND_BYTES = 1 << 16
MAX_SECONDS = 28_800
INTERRUPTED = 1317
_QUERIES = ("SELECT", "WITH", "(", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "SET", "USE", "KILL")
_QUIT, _INIT_DB, _QUERY, _FIELD_LIST, _STATISTICS, _PING = 0x01, 0x02, 0x03, 0x04, 0x09, 0x0E
_CHANGE_USER, _PREPARE, _EXECUTE, _LONG_DATA, _CLOSE, _RESET = 0x11, 0x16, 0x17, 0x18, 0x19, 0x1A
_SET_OPTION, _RESET_CONNECTION, _PROCESS_KILL = 0x1B, 0x1F, 0x0C


class Limit:
    """The time limit of the running statement, looked at by another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[float, float, Callable[[float], None]] | None = None

    def begin(self, seconds: float, stop: Callable[[float], None]) -> None:
        """A statement begins; `stop` is called with its limit when it takes longer."""
        with self._lock:
            self._running = (time.monotonic() + seconds, seconds, stop)

    def end(self) -> None:
        """It has ended; a later one is never stopped in its place."""
        with self._lock:
            self._running = None

    def look(self, now: float) -> None:
        """Stop what runs for too long."""
        with self._lock:
            if self._running is not None and self._running[0] <= now:
                _, seconds, stop = self._running
                self._running = None
                stop(seconds)


class _LoginFailed(SqlError):
    """A refused change of the user; the connection ends behind it."""


class Connection:
    """Speaks MySQL's protocol with one client."""

    def __init__(
        self,
        stream: PacketStream,
        store: Store,
        sessions: Sessions,
        peer: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._stream = stream
        self._store = store
        self._sessions = sessions
        self._peer = peer
        self._tls = tls
        self._multi_statements = False
        self._prepared = prepared.Statements()
        self._id = sessions.new_id()
        self._limit = Limit()

    @property
    def limit(self) -> Limit:
        """The time limit of what runs; for whoever watches over it."""
        return self._limit

    def disconnect(self) -> None:
        """End the connection, from any thread."""
        self._stream.disconnect()

    def serve(self) -> None:
        """From greeting to farewell. Raises EOFError when the peer is gone, or TimeoutError."""
        session = self._login()
        if session is None:
            return
        session.disconnect = self._stream.disconnect
        context = Context(session, self._sessions)
        self._sessions.add(session)
        try:
            while self._command(context):
                pass
        finally:
            self._sessions.remove(session)
            session.close()

    # Login

    def _login(self) -> Session | None:
        nonce = new_nonce()
        self._stream.send(handshake.greeting(self._id, nonce, self._tls is not None))
        try:
            first = self._stream.read(LOGIN_SECONDS)
            if self._tls is not None and handshake.is_tls_request(first):
                self._stream.start_tls(self._tls, LOGIN_SECONDS)
                first = self._stream.read(LOGIN_SECONDS)
            login = handshake.parse_login(first)
            scramble = login.scramble
            if login.plugin != PLUGIN:
                self._stream.send(handshake.switch_plugin(nonce))
                scramble = self._stream.read(LOGIN_SECONDS)
            self._check_password(login.user, nonce, scramble)
            session = Session(
                id=self._id,
                user=login.user,
                host=self._peer,
                store=self._store,
                connection=self._store.engine.reader(),
            )
            if login.database:
                Context(session, self._sessions).use(login.database)
        except SqlError as error:
            log.info("login_refused", peer=self._peer, code=error.code)
            self._stream.send(handshake.error_packet(error))
            return None
        self._stream.read_ahead()
        self._multi_statements = bool(login.capabilities & handshake.MULTI_STATEMENTS)
        self._stream.send(handshake.ok_packet(0, handshake.STATUS_AUTOCOMMIT))
        return session

    def _check_password(self, user: str, nonce: bytes, scramble: bytes) -> None:
        """Raises 1045 for a wrong user or password, 1226 when the user holds too many already."""
        account = self._store.catalog.rights.accounts.get(user)
        # An unknown user is checked against a hash that nothing matches: same time, same error.
        stored = "*" + "00" * 20 if account is None else account.password_hash
        if not scramble_matches(stored, nonce, scramble) or account is None:
            raise access_denied(user, self._peer, bool(scramble))
        if len(self._sessions.of_user(user)) >= account.max_connections:
            raise SqlError(
                1226,
                "42000",
                f"User '{user}' has reached its max_user_connections ({account.max_connections})",
            )

    # Commands

    def _command(self, context: Context) -> bool:
        """Answer one command; False when the client says goodbye."""
        self._stream.restart()
        # A client that is silent for wait_timeout is sent away.
        payload = self._stream.read(_seconds(context, "wait_timeout"))
        if not payload:
            raise ProtocolError("empty command")
        command, body = payload[0], payload[1:]
        if command == _QUIT:
            return False
        session = context.session
        session.killed = False
        session.timed_out_after = 0.0
        session.started = datetime.datetime.now(datetime.UTC)
        try:
            self._answer(context, command, body)
        except SqlError as error:
            self._stream.send(handshake.error_packet(_told(session, error)))
            if isinstance(error, _LoginFailed):
                return False
        except (EOFError, ProtocolError):
            raise
        except Exception as error:  # a defect must not end the client's connection
            log.exception("statement_failed", statement=session.statement[:500])
            problem = f"internal error of embedded StarRocks: {type(error).__name__}: {error}"
            self._stream.send(handshake.error_packet(execution_error(problem)))
        finally:
            self._limit.end()
            session.statement = ""
            session.started = datetime.datetime.now(datetime.UTC)
        return True

    def _answer(self, context: Context, command: int, body: bytes) -> None:
        if command == _QUERY:
            self._query(context, _decoded(body))
        elif command == _PING:
            self._ok()
        elif command == _INIT_DB:
            context.use(_decoded(body))
            self._ok()
        elif command == _PREPARE:
            self._prepare(context, _decoded(body))
        elif command == _EXECUTE:
            self._execute(context, body)
        elif command in (_LONG_DATA, _CLOSE):
            # These two have no answer.
            (self._prepared.close if command == _CLOSE else self._prepared.long_data)(body)
        elif command == _RESET:
            self._prepared.reset(body)
            self._ok()
        else:
            self._answer_rest(context, command, body)

    def _answer_rest(self, context: Context, command: int, body: bytes) -> None:
        """Commands about the connection itself."""
        if command == _RESET_CONNECTION:
            self._prepared = prepared.Statements()
            context.session.reset(context.session.user)
            self._ok()
        elif command == _SET_OPTION:
            self._multi_statements = body[:2] == b"\0\0"
            self._stream.send(handshake.eof_packet(handshake.STATUS_AUTOCOMMIT))
        elif command == _STATISTICS:
            self._stream.send(f"Sessions: {len(self._sessions.all())}".encode())
        elif command == _FIELD_LIST:
            self._field_list(context, body)
        elif command == _PROCESS_KILL:
            kill = f"KILL {int.from_bytes(body[:4], 'little')}"
            self._run(context, *statements(kill)[0])
            self._ok()
        elif command == _CHANGE_USER:
            self._change_user(context, body)
        else:
            raise SqlError(1047, "08S01", f"Unknown command 0x{command:02x}")

    def _change_user(self, context: Context, body: bytes) -> None:
        """COM_CHANGE_USER: a new login on the same connection; a refused one ends it."""
        reader = PayloadReader(body)
        user = _decoded(reader.until_zero())
        reader.take(reader.integer(1))
        database = _decoded(reader.until_zero())
        nonce = new_nonce()
        self._stream.send(handshake.switch_plugin(nonce))
        scramble = self._stream.read(LOGIN_SECONDS)
        session = context.session
        try:
            self._check_password(user, nonce, scramble)
        except SqlError as error:
            raise _LoginFailed(error.code, error.sqlstate, error.message) from None
        session.reset(user)
        self._prepared = prepared.Statements()
        if database:
            context.use(database)
        self._ok()

    def _ok(self) -> None:
        self._stream.send(handshake.ok_packet(0, handshake.STATUS_AUTOCOMMIT))

    def _field_list(self, context: Context, body: bytes) -> None:
        """COM_FIELD_LIST, which the mysql command line sends for completion."""
        name = _decoded(PayloadReader(body).until_zero()).replace("`", "``")
        result = self._run(context, *statements(f"SELECT * FROM `{name}` LIMIT 0")[0])
        if not isinstance(result, ResultSet):
            raise execution_error("no columns")
        payloads = [column_definition(column) + b"\xfb" for column in result.columns]
        self._stream.send(*payloads, handshake.eof_packet(handshake.STATUS_AUTOCOMMIT))

    def _query(self, context: Context, sql: str) -> None:
        context.session.statement = sql
        found = statements(sql)
        if not found:
            raise SqlError(1065, "42000", "Query was empty")
        if len(found) > 1 and not self._multi_statements:
            raise unsupported("several statements in one query, unless the client asks for it")
        for index, (tokens, text) in enumerate(found):
            status = handshake.STATUS_AUTOCOMMIT
            if index + 1 < len(found):
                status |= handshake.STATUS_MORE_RESULTS
            context.session.wants_encoded = True
            result = self._run(context, tokens, text)
            is_encoded = isinstance(result, ResultSet) and result.is_encoded
            self._send(context, result, status, payloads if is_encoded else text_rows)

    def _run(self, context: Context, tokens: list[Token], text: str) -> Result:
        word = tokens[0].text.upper()
        context.session.hints = set_var_hints(tokens)
        limit = _seconds(context, "query_timeout" if word in _QUERIES else "insert_timeout")
        # It holds until the rows are sent; the next statement or the end takes it away.
        self._limit.begin(limit, context.session.time_out)
        return execute(context, tokens, text)

    def _prepare(self, context: Context, sql: str) -> None:
        statement = self._prepared.add(sql)
        try:
            columns = result_columns(context, sql, execute)
        except SqlError:
            self._prepared.forget(statement)
            raise
        self._stream.send_raw(statement.prepare_answer(self._stream, columns))

    def _execute(self, context: Context, body: bytes) -> None:
        tokens, sql = self._prepared.bound(body)
        context.session.statement = sql
        context.session.wants_encoded = False
        result = self._run(context, tokens, sql)
        self._send(context, result, handshake.STATUS_AUTOCOMMIT, prepared.binary_rows)

    # Results

    def _send(
        self, context: Context, result: Result, status: int, encode: prepared.EncodeRows
    ) -> None:
        if isinstance(result, Done):
            self._stream.send(handshake.ok_packet(result.affected, status, result.info))
            return
        head = [lenenc_int(len(result.columns))]
        head += [column_definition(column) for column in result.columns]
        head.append(handshake.eof_packet(status))
        framed = self._stream.frame_all(head)
        try:
            for rows in result.chunks:
                framed += self._stream.frame_all(_encoded(result.columns, rows, encode))
                if len(framed) >= _SEND_BYTES:
                    self._stream.send_raw(framed)
                    framed = b""
        except SqlError as error:
            # Rows may be out already; an error packet in their place ends the result.
            packet = handshake.error_packet(_told(context.session, error))
            self._stream.send_raw(framed + self._stream.frame(packet))
            return
        self._stream.send_raw(framed + self._stream.frame(handshake.eof_packet(status)))


def _seconds(context: Context, variable: str) -> float:
    """A time limit of the session; what is no positive number counts as the default."""
    value = str(context.variable(variable))
    return float(value) if value.isdigit() and int(value) else float(MAX_SECONDS)


def _told(session: Session, error: SqlError) -> SqlError:
    """An interruption by the time limit says so."""
    if error.code != INTERRUPTED or not session.timed_out_after:
        return error
    return SqlError(
        1064,
        "HY000",
        f"Query reached its timeout of {session.timed_out_after:g} seconds, "
        "please increase the 'query_timeout' session variable and retry",
    )


def _encoded(
    columns: list[ResultColumn], rows: list[Row], encode: prepared.EncodeRows
) -> list[bytes]:
    try:
        return encode(columns, rows)
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise execution_error(f"a value of the result cannot be sent: {error}") from error


def _decoded(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SqlError(1300, "HY000", f"Invalid utf8 character string: {error}") from None
