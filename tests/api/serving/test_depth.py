"""How deep JSON may nest: counted as a parser would, in time linear in its size."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.serving.sizes import is_deeper

JSON = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('[]{}"\\ a\u2028'), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=40,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


@given(JSON, st.integers(1, 6), st.booleans())
def test_what_a_parser_would_nest_deeper_is_deeper(value: Any, most: int, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    if depth_of(value) <= most:
        assert not is_deeper(body, most)


@given(st.integers(1, 60), st.sampled_from([("[", "]"), ('{"]":', "}"), ('["[", ', "]")]))
def test_one_level_more_than_allowed_is_refused(depth: int, pair: tuple[str, str]) -> None:
    body = (pair[0] * depth + "1" + pair[1] * depth).encode()
    assert not is_deeper(body, depth)
    assert is_deeper((pair[0] + body.decode() + pair[1]).encode(), depth)


@pytest.mark.parametrize(
    "body",
    [b'"' + b'\\"' * 500_000, b'"' * 1_000_001, b"[]" * 500_000, b"[" * 1_000_000,
     b"\\" * 1_000_000, b'{"a":"' * 160_000, b"[" * 500_000 + b"]" * 500_000],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_no_time(body: bytes) -> None:
    begun = time.process_time()
    is_deeper(body, 32)
    assert time.process_time() - begun < 0.5
