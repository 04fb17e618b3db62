"""mysql_native_password: what is stored, and how a scramble is checked.

Source: MySQL internals manual, "Secure Password Authentication". The stored form is
SHA1(SHA1(password)), as MySQL and StarRocks keep it; the password itself is never stored.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

PLUGIN = "mysql_native_password"


def _sha1(data: bytes) -> bytes:
    # SHA-1 is what the protocol prescribes; there is no choice of hash here.
    return hashlib.sha1(data, usedforsecurity=False).digest()


def stored_hash(password: str) -> str:
    """What is kept for a password: "" for none, else 40 hexadecimal digits behind a star."""
    if not password:
        return ""
    return "*" + _sha1(_sha1(password.encode("utf-8"))).hex().upper()


def new_nonce() -> bytes:
    """Twenty random 7-bit bytes without zeros: Connector/J reads them as ASCII up to a zero."""
    return bytes(1 + secrets.randbelow(127) for _ in range(20))


def scramble_matches(stored: str, nonce: bytes, scramble: bytes) -> bool:
    """Whether the client's answer to the nonce proves that it knows the password."""
    if not stored:
        return scramble == b""
    if len(scramble) != 20:
        return False
    second = bytes.fromhex(stored.removeprefix("*"))
    mask = _sha1(nonce + second)
    first = bytes(a ^ b for a, b in zip(scramble, mask, strict=True))
    return hmac.compare_digest(_sha1(first), second)


def password_matches(stored: str, password: str) -> bool:
    """Whether a password sent in clear (HTTP basic authentication) is the right one."""
    return hmac.compare_digest(stored_hash(password).encode(), stored.encode())
