"""Seeded randomness: the same seed and the same names always give the same stream."""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, *names: object) -> random.Random:
    """Return a generator of its own for ``names``; independent of every other one."""
    text = "|".join([str(seed), *(str(name) for name in names)])
    return random.Random(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))


def fraction(seed: int, *names: object) -> float:
    """Return a number from 0 up to 1 that is fixed for ``names``."""
    return int(identifier(seed, *names)[:13], 16) / 16**13


def identifier(seed: int, *names: object) -> str:
    """Return 40 hexadecimal digits that are fixed for ``names``."""
    text = "|".join([str(seed), *(str(name) for name in names)])
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
