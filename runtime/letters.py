"""Dead letters on a terminal: text of strangers, printed so that it stays text."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

_HEX_WIDTH = 16


def one_line(text: str, limit: int = 100) -> str:
    """Return text as one line without control characters, cut to ``limit``."""
    line = "".join(c if c.isprintable() else _escaped(c) for c in text)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def shown_bytes(payload: bytes, limit: int = 4096) -> str:
    """Return bytes for a terminal: text where it is UTF-8, else as a hex dump.

    Whatever could move the cursor, color the screen or turn the direction of writing is escaped.
    """
    head = payload[:limit]
    more = f"\n... {len(payload) - limit} more bytes" if len(payload) > limit else ""
    try:
        text = payload.decode()[:limit]
    except UnicodeDecodeError:
        return "\n".join(_hex_lines(head)) + more
    return "".join(c if c.isprintable() or c in "\n\t" else _escaped(c) for c in text) + more


def as_json(letter: Mapping[str, Any]) -> dict[str, Any]:
    """Return a letter for JSON: instants as ISO 8601, bytes as base64 (``payload_base64``)."""
    found: dict[str, Any] = {}
    for name, value in letter.items():
        if isinstance(value, bytes):
            found[f"{name}_base64"] = base64.b64encode(value).decode()
        elif isinstance(value, datetime):
            found[name] = value.isoformat()
        elif isinstance(value, list):
            found[name] = [as_json(one) for one in value]
        else:
            found[name] = value
    return found


def letter_lines(letter: Mapping[str, Any], *, limit: int) -> Iterable[str]:
    """Describe one letter with its history and its bytes."""
    names = (
        "id", "state", "class", "cause", "reason", "stream", "dataset", "writer", "seq",
        "poll_id", "last_poll_id", "occurrences", "attempts", "first_at", "last_at", "code",
        "gate", "closed_at",
    )  # fmt: skip
    for name in names:
        if letter.get(name) is not None:
            yield f"{name:13}{one_line(_text(letter[name]), 2000)}"
    for act in letter["history"]:
        said = " ".join(
            one_line(str(part), 400)
            for part in (act["action"], "by", act["by"], act["outcome"] or "under way")
        )
        why = f": {one_line(act['reason'], 400)}" if act["reason"] else ""
        yield f"{'history':13}{_text(act['at'])} {said}{why}"
    payload = letter["payload"]
    yield f"{'bytes':13}{len(payload)}"
    yield shown_bytes(payload, limit)


def table_line(letter: Mapping[str, Any]) -> str:
    """Describe one letter in one line."""
    place = letter["dataset"] or letter["stream"]
    return (
        f"{letter['id'][:24]:24}  {letter['state']:9}  {_text(letter['last_at'])[:16]}  "
        f"{letter['occurrences']:>5}x  {letter['attempts']} tried  {one_line(place, 40)}  "
        f"{one_line(letter['cause'], 30)}: {one_line(letter['reason'], 80)}"
    )


def _text(value: Any) -> str:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else str(value)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


def _hex_lines(data: bytes) -> Iterable[str]:
    for start in range(0, len(data), _HEX_WIDTH):
        part = data[start : start + _HEX_WIDTH]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:08x}  {part.hex(' '):{3 * _HEX_WIDTH}} {text}"
