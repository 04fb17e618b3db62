"""YAML by PyYAML's reader and writer in C, where it has them: a tenth of the time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def read_yaml(text: str) -> Any:
    """Return a document of plain values. Raises yaml.YAMLError."""
    return yaml.load(text, LOADER)  # noqa: S506 - both are the safe ones


def write_yaml(document: Mapping[str, Any], *, width: int = 100) -> str:
    """Return a document with its keys in their order and its characters as they are."""
    text: str = yaml.dump(document, None, _DUMPER, sort_keys=False, allow_unicode=True, width=width)
    return text
