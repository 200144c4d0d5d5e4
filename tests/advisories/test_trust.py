"""Only the certificates and CAs that the operator configured are trusted for VNC servers."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto

from tests.session.upstream_tls_case import NAMED, OURS, UpstreamCase, served
from tests.support.pki import Credential


def signed_by(leaf: Credential, name: str) -> Credential:
    """Return a certificate that is signed with the key of a server, as if the server were a CA."""
    above = x509.load_pem_x509_certificate(leaf.cert)
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(name))])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged")]))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .sign(load_pem_private_key(leaf.key, None), SHA256())  # type: ignore[arg-type]
    )
    return Credential(
        made.public_bytes(Encoding.PEM), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )


class TrustTests(UpstreamCase):
    """CVE-2020-26117: a certificate that was accepted once was trusted as a CA from then on."""

    async def refused_with(self, certificate: Credential, *words: str, chain: bytes = b"", **more: object) -> None:
        above = [crypto.load_certificate(crypto.FILETYPE_PEM, chain)] if chain else []
        self.serve(served(certificate, chain=above))
        self.front_with(**more)
        self.events.clear()
        detail = await self.detail()
        for word in words:
            self.assertIn(word, detail)

    async def test_a_servers_certificate_makes_no_others(self) -> None:
        """A certificate signed with a server's key is refused, even with that server's certificate in its chain."""
        forged = signed_by(NAMED, "127.0.0.1")
        await self.refused_with(forged, "certificate verify failed")
        await self.refused_with(forged, "certificate verify failed", chain=NAMED.cert)

    async def test_nor_does_one_that_is_named_as_trusted(self) -> None:
        """It is refused even if vencrypt_ca_certs contains the server's certificate."""
        forged = signed_by(NAMED, "127.0.0.1")
        for trusted in (NAMED.cert, OURS.pem + NAMED.cert):
            await self.refused_with(forged, "certificate verify failed", chain=NAMED.cert, ca_certs=trusted)

    async def test_trusted_is_not_named(self) -> None:
        """A server's certificate that is trusted directly must also contain the dialled name."""
        elsewhere = OURS.issue("192.0.2.99")
        await self.refused_with(elsewhere, "name mismatch", ca_certs=OURS.pem + elsewhere.cert)

    async def test_nothing_is_learned(self) -> None:
        """A refused certificate is refused again: there is no trust on first use."""
        forged = signed_by(NAMED, "127.0.0.1")
        for _ in range(3):
            await self.refused_with(forged, "certificate verify failed")
