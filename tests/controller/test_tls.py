"""The daemon serves TLS from its first start, with a certificate that real clients verify."""

import socket
import ssl
import stat
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import SecretStr

from controller.adapters.tls import ServerCertificate, server_certificate
from controller.model.errors import InvalidInputError
from controller.settings import Listen

NOW = time.time()
DAY = 86_400.0


def greeted(made: ServerCertificate, name: str, trusted: Path) -> bytes:
    """What a client that trusts `trusted` and calls the server `name` reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with made.context().wrap_socket(connection, server_side=True) as channel:
                    channel.sendall(b"hello")
            except ssl.SSLError:
                connection.close()

        server = threading.Thread(target=serve)
        server.start()
        context = ssl.create_default_context(cafile=str(trusted))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        try:
            with (
                socket.create_connection(listener.getsockname()) as raw,
                context.wrap_socket(raw, server_hostname=name) as channel,
            ):
                return channel.recv(5)
        finally:
            server.join()


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "192.0.2.7"])
def test_a_client_that_trusts_the_made_certificate_connects(tmp_path: Path, name: str) -> None:
    made = server_certificate(Listen(host="192.0.2.7"), tmp_path, NOW)
    assert made.is_self_signed
    assert greeted(made, name, made.certificate) == b"hello"


def test_other_names_and_other_certificates_are_not_trusted(tmp_path: Path) -> None:
    made = server_certificate(Listen(), tmp_path / "a", NOW)
    other = server_certificate(Listen(), tmp_path / "b", NOW)
    for name, trusted in (("example.org", made.certificate), ("localhost", other.certificate)):
        with pytest.raises(ssl.SSLCertVerificationError):
            greeted(made, name, trusted)


def test_the_made_certificate_is_kept_until_it_no_longer_serves(tmp_path: Path) -> None:
    first = server_certificate(Listen(), tmp_path, NOW)
    assert stat.S_IMODE(first.key.stat().st_mode) == 0o600
    assert stat.S_IMODE(first.key.parent.stat().st_mode) == 0o700
    assert server_certificate(Listen(), tmp_path, NOW + 366 * DAY) == first
    late = server_certificate(Listen(), tmp_path, NOW + 368 * DAY)
    assert late.fingerprint != first.fingerprint
    renamed = server_certificate(Listen(host="198.51.100.1"), tmp_path, NOW + 368 * DAY)
    assert renamed.fingerprint != late.fingerprint
    renamed.key.write_text("damaged")
    again = server_certificate(Listen(host="198.51.100.1"), tmp_path, NOW + 368 * DAY)
    assert again.fingerprint != renamed.fingerprint
    again.context()


def test_a_wildcard_address_is_no_name(tmp_path: Path) -> None:
    made = server_certificate(Listen(host="0.0.0.0"), tmp_path, NOW)
    leaf = x509.load_pem_x509_certificate(made.certificate.read_bytes())
    assert "0.0.0.0" not in str(leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    assert made.fingerprint.count(":") == 31


def test_configured_files_are_used_with_their_password(tmp_path: Path) -> None:
    made = server_certificate(Listen(), tmp_path, NOW)
    private = serialization.load_pem_private_key(made.key.read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hush"),
        )
    )

    def configured(password: str | None, certificate: Path = made.certificate) -> ServerCertificate:
        secret = SecretStr(password) if password else None
        listen = Listen(tls_certificate=certificate, tls_key=locked, tls_key_password=secret)
        return server_certificate(listen, tmp_path / "unused", NOW)

    good = configured("hush")
    assert not good.is_self_signed
    assert greeted(good, "localhost", made.certificate) == b"hello"
    assert not (tmp_path / "unused").exists()
    for password in ("wrong", None):
        with pytest.raises(InvalidInputError, match="cannot be used"):
            configured(password).context()
    other = server_certificate(Listen(), tmp_path / "other", NOW)
    with pytest.raises(InvalidInputError, match="cannot be used"):
        configured("hush", other.certificate).context()
    with pytest.raises(InvalidInputError, match="cannot be read"):
        configured("hush", tmp_path / "none.pem")
    assert "hush" not in repr(good)
