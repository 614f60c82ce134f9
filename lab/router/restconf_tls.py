"""Owns: the lab's certificate authority and the TLS context of its RESTCONF servers (RFC 8040 section 2)."""

import ipaddress
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID_DAYS = 365
_NAMES = ("localhost",)
_ADDRESSES = ("127.0.0.1", "::1")


class LabAuthority:
    """A throw-away certificate authority with one server certificate for this host's loopback names.

    All routers of a process share the certificate: a key and a context for each of a thousand would cost memory and
    prove nothing more. The keys never leave memory but for the moment OpenSSL needs a file to load them from.
    """

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accord lab CA")])
        self._certificate = self._sign(self._name, self._key.public_key(), authority=True)
        self.ca_pem = self._certificate.public_bytes(serialization.Encoding.PEM)
        self.context = self._server_context()

    def _server_context(self) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAMES[0])])
        certificate = self._sign(subject, key.public_key(), authority=False)
        key_pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        with tempfile.TemporaryDirectory() as folder:
            chain = Path(folder) / "server.pem"
            chain.touch(mode=0o600)
            chain.write_bytes(key_pem + certificate.public_bytes(serialization.Encoding.PEM) + self.ca_pem)
            context.load_cert_chain(chain)
        return context

    def _sign(self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, authority: bool) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=_VALID_DAYS))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .add_extension(_key_usage(authority=authority), critical=True)
        )
        if not authority:
            names: list[x509.GeneralName] = [x509.DNSName(name) for name in _NAMES]
            names += [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


@cache
def lab_authority() -> LabAuthority:
    """The authority of this process, made on first use."""
    return LabAuthority()
