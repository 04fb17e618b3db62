"""A certificate authority of this home, and the certificates of its containers.

The authority's key never leaves ``containers/ca`` (mode 0600); containers get certificates of a
year with keys of their own. A certificate is made anew when it is missing, about to end, of other
names, or of another authority. Kinds of files: PEM for what reads it, PKCS #12 for Flink and
StarRocks, whose servers read Java's key stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from emdata.errors import SettingError
from emdata.files import replace_file

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
RENEW_DAYS = 30
"""A certificate that ends sooner is made anew by the next start."""
_CLOCK_SKEW = timedelta(minutes=5)
_LOCAL = ("localhost", "127.0.0.1")
NAMES: Mapping[str, tuple[str, ...]] = {
    "kafka": ("kafka", "kafka-2", "kafka-3", *_LOCAL),
    "postgres": ("postgres", *_LOCAL),
    "api": ("api", *_LOCAL),
    "flink": ("flink-jobmanager", "flink-taskmanager", *_LOCAL),
    "starrocks": ("starrocks", "starrocks-fe", "starrocks-lite", *_LOCAL),
    "migrations": ("migrations",),
    "kafka-ui": ("kafka-ui",),
}
"""Whose certificates there are, and the names in each, the first one being its common name."""


@dataclass(frozen=True)
class Identity:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def certificate_pem(self) -> str:
        """The certificate for everybody."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key, unencrypted (PKCS #8)."""
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return private.decode()

    @property
    def pem(self) -> str:
        """Key and certificate in one text, as Kafka reads them."""
        return self.key_pem + self.certificate_pem

    def key_store(self, password: str, authority: x509.Certificate) -> bytes:
        """A Java key store (PKCS #12)."""
        return pkcs12.serialize_key_and_certificates(
            b"emdata",
            self.key,
            self.certificate,
            [authority],
            BestAvailableEncryption(password.encode()),
        )


def trust_store(authority: x509.Certificate, password: str) -> bytes:
    """A Java trust store (PKCS #12) that knows this authority only."""
    known = [pkcs12.PKCS12Certificate(authority, b"emdata-ca")]
    return pkcs12.serialize_java_truststore(known, BestAvailableEncryption(password.encode()))


class Authority:
    """The authority below a folder, made when it is missing; ``now`` is in UTC."""

    def __init__(self, folder: Path, now: datetime) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        self.folder, self._now = folder, now
        self.identity = _read(folder, "ca") or self._make_authority()
        if self.identity.certificate.not_valid_after_utc < now:
            raise SettingError(
                "containers/ca", value=str(folder), allowed="an authority that is in force",
                fix="it ended; run `emdata ca renew --authority`, then restart",
            )  # fmt: skip

    @property
    def certificate(self) -> x509.Certificate:
        """What clients trust."""
        return self.identity.certificate

    def identity_of(self, name: str) -> Identity:
        """The certificate of one of ``NAMES``, made anew when it is due."""
        found = _read(self.folder, name)
        if found is not None and self._is_good(found, NAMES[name]):
            return found
        return self.issue(name)

    def issue(self, name: str) -> Identity:
        """Make a new key and certificate of one of ``NAMES``."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            self._builder(NAMES[name][0], key, CERTIFICATE_DAYS)
            .issuer_name(self.certificate.subject)
            .add_extension(_alternative_names(NAMES[name]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.identity.key.public_key()),
                critical=False,
            )
        )
        made = Identity(builder.sign(self.identity.key, hashes.SHA256()), key)
        _write(self.folder, name, made)
        return made

    def _make_authority(self) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        builder = self._builder("emdata local authority", key, AUTHORITY_DAYS)
        builder = (
            builder.issuer_name(_name("emdata local authority"))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
        )
        made = Identity(builder.sign(key, hashes.SHA256()), key)
        _write(self.folder, "ca", made)
        return made

    def _builder(
        self, name: str, key: ec.EllipticCurvePrivateKey, days: int
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now - _CLOCK_SKEW)
            .not_valid_after(self._now + timedelta(days=days))
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
        )

    def _is_good(self, found: Identity, names: Sequence[str]) -> bool:
        certificate = found.certificate
        if certificate.not_valid_after_utc < self._now + timedelta(days=RENEW_DAYS):
            return False
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        if known.value != _alternative_names(names):
            return False
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative_names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
            for name in names
        ]
    )


def _read(folder: Path, name: str) -> Identity | None:
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not (certificate.exists() and key.exists()):
        return None
    private = load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise SettingError(
            "containers/ca", value=str(key), allowed="a key of an elliptic curve",
            fix="remove the folder; the next start makes a new authority",
        )  # fmt: skip
    return Identity(x509.load_pem_x509_certificate(certificate.read_bytes()), private)


def _write(folder: Path, name: str, made: Identity) -> None:
    replace_file(folder / f"{name}.key", made.key_pem)
    replace_file(folder / f"{name}.crt", made.certificate_pem)


def remove_authority(folder: Path) -> None:
    """Forget the authority, so that the next one is another."""
    for kind in ("key", "crt"):
        (folder / f"ca.{kind}").unlink(missing_ok=True)
