"""A small PKI: CAs, and valid and invalid certificates of servers and clients."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH


@dataclass(frozen=True)
class Credential:
    """A certificate and its key, in PEM."""

    cert: bytes
    key: bytes


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_pem(key: Any) -> bytes:
    pem: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem


class CA:
    """A certificate authority.

    :ivar pem: its certificate.
    :ivar credential: its certificate, with its key.
    """

    def __init__(
        self,
        common_name: str = "our CA",
        *,
        above: "CA | None" = None,
        key_ids: bool = True,
        is_ca: bool = True,
        weak: bool = False,
    ) -> None:
        """Make one.

        :param above: the CA that signs its certificate; None: self-signed.
        :param key_ids: whether certificates identify the keys of subject and issuer (RFC 5280, section 4.2.1).  Clients
            on Python 3.13 require it; without it, a CA is found by its name alone.
        :param is_ca: False: its certificate says that it is not a CA.
        :param weak: whether its key is too short for OpenSSL's security level 2.
        """
        self._key_ids = key_ids
        self._key: Any = rsa.generate_private_key(65537, 1024) if weak else ec.generate_private_key(ec.SECP256R1())
        self._subject = _name(common_name)
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        builder = (
            self._builder(self._subject, self._key.public_key(), above or self, days=(-10, 10))
            .issuer_name(above._subject if above else self._subject)
            .add_extension(x509.BasicConstraints(is_ca, None), True)
            .add_extension(usage, True)
        )
        self.pem = builder.sign(above._key if above else self._key, SHA256()).public_bytes(Encoding.PEM)
        self.credential = Credential(self.pem, _key_pem(self._key))

    def issue(
        self,
        *names: str,
        purpose: x509.ObjectIdentifier = SERVER,
        days: tuple[float, float] = (-1, 1),
        common_name: str = "test",
        san: x509.GeneralName | None = None,
    ) -> Credential:
        """Issue a certificate for these DNS names and IP addresses; without any, it has no subjectAltName.

        :param days: begin and end of its validity, in days from now.
        :param san: one more name, of any kind.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
        builder = (
            self._builder(_name(common_name), key.public_key(), self, days)
            .issuer_name(self._subject)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(usage, True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), False)
        )
        found = [_general_name(name) for name in names] + ([san] if san else [])
        if found:
            builder = builder.add_extension(x509.SubjectAlternativeName(found), False)
        return Credential(builder.sign(self._key, SHA256()).public_bytes(Encoding.PEM), _key_pem(key))

    def _builder(
        self, subject: x509.Name, key: Any, issuer: "CA", days: tuple[float, float]
    ) -> x509.CertificateBuilder:
        """What all certificates have in common."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )
        if not self._key_ids:
            return builder
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer._key.public_key())
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False).add_extension(
            authority, False
        )


def qemu_folder(folder: Path, ca: bytes, server: Credential) -> Path:
    """Write the files that QEMU's tls-creds-x509 and libvirt's vnc_tls_x509_cert_dir expect."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (("ca-cert.pem", ca), ("server-cert.pem", server.cert), ("server-key.pem", server.key)):
        (folder / name).write_bytes(data)
    return folder
