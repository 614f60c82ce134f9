"""Owns the northbound's server certificate: the configured one, or a self-signed one made in the state directory.

The made one is P-256 with the names and addresses of this machine, good for 397 days, and made anew in its last 30. Its
fingerprint is for the operator to compare; clients trust it by its file (`--ca`, curl's `--cacert`).
"""

import ipaddress
import os
import socket
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from controller.model.errors import InvalidInputError
from controller.settings import Listen

_VALID_FOR = timedelta(days=397)
_RENEWED_BEFORE = timedelta(days=30)
_BACKDATED = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """Files in PEM. `password` opens the key and shows nowhere."""

    certificate: Path
    key: Path
    fingerprint: str
    """SHA-256 of the certificate, in upper-case hexadecimal pairs."""
    is_self_signed: bool
    _password: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """For a server: TLS 1.2 or newer. `InvalidInputError` when certificate and key do not fit each other."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # Without a password OpenSSL would ask on the terminal; an empty answer makes it an error instead.
            context.load_cert_chain(self.certificate, self.key, lambda: self._password or "")
        except (ssl.SSLError, OSError) as error:
            raise InvalidInputError(
                f"certificate and key cannot be used: {error}", path=f"{self.certificate}, {self.key}"
            ) from error
        return context


def server_certificate(listen: Listen, state_dir: Path, now: float) -> ServerCertificate:
    """The certificate to serve with. `now` in seconds since the epoch; `InvalidInputError` for unusable files."""
    if listen.tls_certificate is not None and listen.tls_key is not None:
        password = listen.tls_key_password.get_secret_value() if listen.tls_key_password else None
        return _described(listen.tls_certificate, listen.tls_key, is_self_signed=False, password=password)
    certificate, key = state_dir / "tls" / "server.crt", state_dir / "tls" / "server.key"
    names = _names(listen.host)
    moment = datetime.fromtimestamp(now, UTC)
    if not _is_good(certificate, key, names, moment):
        _make(certificate, key, names, moment)
    return _described(certificate, key, is_self_signed=True)


def _described(certificate: Path, key: Path, *, is_self_signed: bool, password: str | None = None) -> ServerCertificate:
    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInputError(f"the certificate cannot be read: {error}", path=str(certificate)) from error
    fingerprint = leaf.fingerprint(hashes.SHA256()).hex(":").upper()
    return ServerCertificate(certificate, key, fingerprint, is_self_signed, password)


def _names(host: str) -> x509.SubjectAlternativeName:
    """What clients may call us: the address listened on, localhost, this machine's name."""
    wanted = dict.fromkeys([host, "localhost", "127.0.0.1", "::1", socket.gethostname()])
    return x509.SubjectAlternativeName([name for text in wanted if (name := _name(text)) is not None])


def _name(text: str) -> x509.GeneralName | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return x509.DNSName(text) if text.isascii() and text else None
    return None if address.is_unspecified else x509.IPAddress(address)


def _is_good(certificate: Path, key: Path, names: x509.SubjectAlternativeName, now: datetime) -> bool:
    """Whether the made certificate is there, fits its key, still names this machine and has time left."""
    try:
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), None)
        present = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    return (
        private.public_key() == leaf.public_key()
        and present == names
        and leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc - _RENEWED_BEFORE
    )


def _make(certificate: Path, key: Path, names: x509.SubjectAlternativeName, now: datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "accord")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(private.public_key())
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    leaf = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(names, critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        .sign(private, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    try:
        certificate.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, private.private_bytes(pem, pkcs8, plain), 0o600)
        _write(certificate, leaf.public_bytes(pem), 0o644)
    except OSError as error:
        raise InvalidInputError(f"the certificate cannot be made: {error}", path=str(certificate.parent)) from error


def _write(file: Path, content: bytes, mode: int) -> None:
    temporary = file.with_name(f".{file.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(descriptor)
    temporary.replace(file)
