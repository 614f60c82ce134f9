"""Identities, a wallet, and files of parties for daemons that negotiate, made by `accord wallet` as people do it."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.adapters.wallet_files import load_identity
from controller.cli.main import main
from controller.negotiation.multibase import multikey

TREASURY = "did:web:treasury.example"
PARTIES = {
    "enterprise": "did:web:bank.example",
    "bss": "did:web:operator.example:bss",
    "oss": "did:web:operator.example:oss",
}
CLASSES = ("general", "order-execution", "bulk-transfer")


@dataclass(frozen=True)
class Keys:
    """A directory with everybody's keys and the wallet of the bank."""

    directory: Path

    def parties(self, file: Path, here: Iterable[str], urls: dict[str, str] | None = None) -> Path:
        """The file of a process that holds these domains."""
        ours = tuple(here)
        said: dict[str, Any] = {name: {"identity": str(self.directory / name)} for name in ours}
        if "enterprise" in said:
            said["enterprise"]["wallets"] = [str(self.directory / "wallet.json")]
        peers = {}
        for name, did in PARTIES.items():
            if name not in ours:
                identity = load_identity(self.directory / name)
                key = multikey(identity.key.public)
                peers[did] = {"domain": name, "key_id": identity.key.id, "key": key, "url": (urls or {}).get(name, "")}
        trust = self.directory / "treasury" / "trust.yaml"
        file.write_text(yaml.safe_dump({"here": said, "peers": peers, "trust": str(trust)}))
        return file


def make_keys(directory: Path, ceiling: str = "100.00 EUR") -> Keys:
    """Everybody's keys, and a wallet that the treasury gives the bank."""
    directory.mkdir(parents=True)
    _run("wallet", "init", directory / "treasury", "--id", TREASURY, "--status-list", "https://treasury.example/1")
    for name, did in PARTIES.items():
        _run("wallet", "init", directory / name, "--id", did)
    classes = [word for name in CLASSES for word in ("--class", name)]
    _run(
        *("wallet", "issue", directory / "treasury", "--name", "line-7", "--holder", PARTIES["enterprise"]),
        *("--ceiling", ceiling, *classes, "--for", "30d", "--out", directory / "wallet.json"),
    )
    return Keys(directory)


def make_certificates(directory: Path) -> dict[str, str]:
    """An authority and one certificate for 127.0.0.1 that everybody shows: the settings that name them."""
    directory.mkdir(parents=True)
    authority, authority_key = _certificate("parties", None)
    certificate, key = _certificate("127.0.0.1", (authority, authority_key))
    files = {
        "peer_ca": authority.public_bytes(serialization.Encoding.PEM),
        "peer_certificate": certificate.public_bytes(serialization.Encoding.PEM),
        "peer_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    }
    for name, octets in files.items():
        (directory / f"{name}.pem").write_bytes(octets)
    return {name: str(directory / f"{name}.pem") for name in files}


def _certificate(name: str, issuer: Any) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        address = x509.IPAddress(ipaddress.ip_address(name))
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def _run(*words: object) -> None:
    assert main([str(word) for word in words]) == 0, words
