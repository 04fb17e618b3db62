"""XML out: text that is always allowed in XML 1.0. Nothing here reads XML."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, SubElement, tostring

# What XML 1.0 has no form for, not even as a character reference (section 2.2).
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def child(parent: Element, name: str, text: str | None = None, **attributes: str) -> Element:
    """Append an element; characters that XML forbids become U+FFFD."""
    made = SubElement(parent, name, {key: clean(value) for key, value in attributes.items()})
    if text is not None:
        made.text = clean(text)
    return made


def optional(parent: Element, name: str, text: str | None) -> None:
    """Append an element where there is text for it."""
    if text:
        child(parent, name, text)


def clean(text: str) -> str:
    """Return text without the characters that XML forbids."""
    return _FORBIDDEN.sub("\ufffd", text)


def document(root: Element) -> bytes:
    """Return the document as UTF-8 with its declaration."""
    made: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"
