"""Codes of the areas that alerts name: UGC zones and SAME (FIPS) counties."""

from __future__ import annotations

from emdata.errors import RowError
from scrapers.values import shown


def ugc_code(code: str) -> str:
    """Return a Universal Geographic Code such as ``COZ036`` (zone) or ``COC123`` (county).

    Raises RowError for anything else.
    """
    if not (len(code) == 6 and code.isascii() and code.isalnum() and code.isupper()):
        raise RowError(f"geocode.UGC: {shown(code)} is not a code such as COZ036")
    return code


def same_code(code: str) -> str:
    """Return ``S`` and the five digits of state and county of a SAME code such as ``008013``.

    Its first digit is 0, or names a part of the county and is kept. Raises RowError for anything
    else.
    """
    if not (len(code) == 6 and code.isascii() and code.isdecimal()):
        raise RowError(f"geocode.SAME: {shown(code)} is not six digits")
    return "S" + (code[1:] if code[0] == "0" else code)
