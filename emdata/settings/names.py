"""What the fields of all settings have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field

Port = Annotated[int, Field(ge=1024, le=65535)]
REPOSITORY = Path(__file__).resolve().parents[2]


def names(field: str, *ecosystem: str) -> AliasChoices:
    """The environment names of a field; the ecosystem's name wins over the prefixed one.

    The bare field name is not among them: names of the environment ignore case, so that ``home``
    would be read from HOME.
    """
    return AliasChoices(*ecosystem, f"EMDATA_{field.upper()}")
