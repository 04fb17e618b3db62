"""Settings of one server, taken from the command line."""

from __future__ import annotations

import argparse
import dataclasses
import re
import ssl
from pathlib import Path

from embedded_starrocks.errors import StartupError

_SIZE = re.compile(r"^[1-9][0-9]*(KB|MB|GB|KiB|MiB|GiB)$")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a server needs to know before it starts."""

    data: Path
    host: str = "127.0.0.1"
    mysql_port: int = 9030
    http_port: int = 8030
    root_password: str
    banner: str = ""
    memory_limit: str = "512MB"
    threads: int = 2
    max_connections: int = 256
    max_load_bytes: int = 256 * 1024 * 1024
    label_keep_seconds: int = 3 * 86400
    tls: ssl.SSLContext | None = None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="embedded_starrocks",
        description="A stand-in for StarRocks on one machine: DuckDB behind StarRocks' MySQL and "
        "stream-load protocols. Not StarRocks.",
    )
    parser.add_argument("--data", type=Path, required=True, help="directory of the data")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--mysql-port", type=int, default=9030)
    parser.add_argument("--http-port", type=int, default=8030)
    parser.add_argument(
        "--password-file", type=Path, required=True, help="file with the password of root"
    )
    parser.add_argument(
        "--allow-empty-password", action="store_true", help="let root in without a password"
    )
    parser.add_argument("--banner", default="", help="shown on every screen, as SIMULATED DATA")
    parser.add_argument("--memory-limit", default="512MB", help="of DuckDB, as 512MB or 2GB")
    parser.add_argument("--threads", type=int, default=2, help="threads of DuckDB")
    parser.add_argument("--max-connections", type=int, default=256)
    parser.add_argument(
        "--max-load-mb", type=int, default=256, help="largest body of one load, in MiB"
    )
    parser.add_argument(
        "--label-keep-seconds", type=int, default=3 * 86400, help="age of forgotten labels"
    )
    parser.add_argument("--tls-cert", type=Path, help="certificate (PEM) that MySQL clients get")
    parser.add_argument("--tls-key", type=Path, help="its key (PEM)")
    return parser


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """The context of a certificate and its key; clients may, and need not, use it."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise StartupError("--tls-cert and --tls-key go together")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise StartupError(f"--tls-cert {certificate}, --tls-key {key}: {error}") from None
    return context


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise StartupError(f"{name} is {value}; allowed is {low} to {high}")


def _read_password(path: Path, allow_empty: bool) -> str:
    try:
        password = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"--password-file {path} cannot be read: {error}") from None
    if not password and not allow_empty:
        raise StartupError(
            f"--password-file {path} is empty; write a password into it "
            "or pass --allow-empty-password"
        )
    return password


def parse_arguments(arguments: list[str]) -> Config:
    """Config from command line arguments.

    Raises StartupError for a value out of range or an unreadable password file; argparse itself
    exits with code 2 on an unknown or missing argument.
    """
    given = _parser().parse_args(arguments)
    _check_range("--mysql-port", given.mysql_port, 0, 65535)
    _check_range("--http-port", given.http_port, 0, 65535)
    _check_range("--threads", given.threads, 1, 256)
    _check_range("--max-connections", given.max_connections, 1, 10_000)
    _check_range("--max-load-mb", given.max_load_mb, 1, 10_240)
    _check_range("--label-keep-seconds", given.label_keep_seconds, 1, 365 * 86400)
    if not _SIZE.match(given.memory_limit):
        raise StartupError(f"--memory-limit is {given.memory_limit!r}; write it as 512MB or 2GB")
    return Config(
        data=given.data,
        host=given.host,
        mysql_port=given.mysql_port,
        http_port=given.http_port,
        root_password=_read_password(given.password_file, given.allow_empty_password),
        banner=given.banner,
        memory_limit=given.memory_limit,
        threads=given.threads,
        max_connections=given.max_connections,
        max_load_bytes=given.max_load_mb * 1024 * 1024,
        label_keep_seconds=given.label_keep_seconds,
        tls=_tls(given.tls_cert, given.tls_key),
    )
