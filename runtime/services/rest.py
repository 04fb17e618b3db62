"""Small HTTP requests to our own servers; no library, no retries, always a deadline."""

from __future__ import annotations

import http.client
import json
from typing import Any

from runtime.services.base import LOOPBACK, NotReady, require_port


def get(port: int, path: str, *, timeout: float = 3.0, host: str = LOOPBACK) -> bytes:
    """GET a path; the body of a 200 answer. Raises NotReady for anything else."""
    return _request((host, port), "GET", path, None, timeout)


def get_json(port: int, path: str, *, timeout: float = 3.0, host: str = LOOPBACK) -> Any:
    """GET a path and decode its JSON; raises NotReady."""
    return _decode(path, get(port, path, timeout=timeout, host=host))


def put_json(
    port: int, path: str, body: object, *, timeout: float = 5.0, host: str = LOOPBACK
) -> bytes:
    """PUT a JSON body; raises NotReady for anything but 200."""
    return _request((host, port), "PUT", path, json.dumps(body).encode(), timeout)


def post_json(
    port: int, path: str, body: object, *, timeout: float = 5.0, host: str = LOOPBACK
) -> Any:
    """POST a JSON body and decode the JSON answer; raises NotReady."""
    return _decode(path, _request((host, port), "POST", path, json.dumps(body).encode(), timeout))


def _request(
    address: tuple[str, int], method: str, path: str, body: bytes | None, timeout: float
) -> bytes:
    host, port = address
    require_port(port, host=host)
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, body=body, headers=headers)
        answer = connection.getresponse()
        text = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise NotReady(f"{path}: HTTP {answer.status}: {text[:200].decode(errors='replace')}")
    return text


def _decode(path: str, text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotReady(f"{path}: no JSON: {error}") from error
