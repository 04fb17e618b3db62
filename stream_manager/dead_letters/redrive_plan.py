"""Which letters an automatic round may try: kinds of letters, and whether their cause is gone.

Pure, so that the rule against circles can be tested without servers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENVELOPE_BYTES = 4096
_VALUES = re.compile(r"'[^']*'|\"[^\"]*\"|`[^`]*`|[-+]?\d[\d.,:TZ-]*")
_PATTERN_LENGTH = 160


@dataclass(frozen=True, slots=True)
class Kind:
    """Letters that failed alike: the same stream, dataset, cause and reason but for its values.

    is_accepted: they died after their acceptance.
    """

    stream: str
    dataset: str | None
    cause: str
    pattern: str
    is_accepted: bool


def kinds_of(letters: Sequence[Mapping[str, Any]]) -> dict[Kind, list[dict[str, Any]]]:
    """Group open letters, as ``state.waiting`` gives them, by kind; order is kept."""
    found: dict[Kind, list[dict[str, Any]]] = {}
    for one in letters:
        if one["state"] != "open":
            continue
        kind = Kind(
            one["stream"],
            one["dataset"],
            one["cause"],
            pattern(one["reason"]),
            bool(one["is_accepted"]),
        )
        found.setdefault(kind, []).append(dict(one))
    return found


def pattern(reason: str) -> str:
    """Return a reason without quoted values and numbers."""
    return _VALUES.sub("*", reason)[:_PATTERN_LENGTH]


def due(
    kind: Kind,
    members: Sequence[Mapping[str, Any]],
    *,
    code: str | None,
    settings: Mapping[str, str] | None,
) -> tuple[str | None, list[str]]:
    """Return the gate that holds now, and the ids of the letters that did not fail under it.

    code: the fingerprint of the stream's parser and contract, None when it does not run here.
    settings: those of the topic, None while Kafka does not say. A gate of None means: not now.
    """
    if not kind.is_accepted:
        return code, [str(one["id"]) for one in members if one["gate"] != code]
    if settings is None:
        return None, []
    gate = gate_text(settings)
    limit = int(settings.get("max.message.bytes", 0))
    return gate, [
        str(one["id"])
        for one in members
        if one["gate"] != gate and _may_fit(kind, int(one["bytes"]), limit)
    ]


def gate_text(settings: Mapping[str, str]) -> str:
    """Write a topic's settings as a gate."""
    return ";".join(f"{name}={value}" for name, value in sorted(settings.items()))


def _may_fit(kind: Kind, size: int, limit: int) -> bool:
    """Whether a message that was too large may be taken now; what was refused otherwise may."""
    if not kind.pattern.startswith(("MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE")):
        return True
    return size + ENVELOPE_BYTES <= limit
