"""A place in a topic: the next offset of each partition; what ``Last-Event-ID`` holds."""

from __future__ import annotations

import re
from collections.abc import Mapping

from api.problems import Problem, bad_parameter

_PART = re.compile(r"([0-9]{1,5}):([0-9]{1,18})")
_LONGEST = 20_000


class Position:
    """Offsets by partition, written ``0:41,1:7``; a partition that is not named begins at 0."""

    __slots__ = ("offsets",)

    def __init__(self, offsets: Mapping[int, int]) -> None:
        self.offsets = dict(offsets)

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read what ``str`` writes. Raises Problem ``bad-parameter`` for anything else."""
        parts = [_PART.fullmatch(part) for part in text[:_LONGEST].split(",")]
        if not all(parts) or len(text) > _LONGEST:
            raise _wrong(text)
        found = {int(part[1]): int(part[2]) for part in parts if part is not None}
        if len(found) != len(parts):
            raise _wrong(text)
        return cls(found)

    def __str__(self) -> str:
        return ",".join(f"{number}:{offset}" for number, offset in sorted(self.offsets.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Position) and self.offsets == other.offsets

    __hash__ = None  # type: ignore[assignment]

    def reaches(self, other: Position) -> bool:
        """Whether no partition is before where the other one is."""
        return all(self.offsets.get(n, 0) >= offset for n, offset in other.offsets.items())

    def has_passed(self, partition: int, offset: int) -> bool:
        """Whether a message lies before this place."""
        return offset < self.offsets.get(partition, 0)

    def after(self, partition: int, offset: int) -> Position:
        """Return the place after a message of one partition."""
        return Position({**self.offsets, partition: offset + 1})

    def furthest(self, other: Position) -> Position:
        """Return the later place of each partition."""
        numbers = self.offsets.keys() | other.offsets.keys()
        return Position({n: max(self.offsets.get(n, 0), other.offsets.get(n, 0)) for n in numbers})


def _wrong(text: str) -> Problem:
    return bad_parameter("Last-Event-ID", text, "the id of an event of this stream, such as 0:1234")
