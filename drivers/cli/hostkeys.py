"""Owns login material for paramiko: which host keys are trusted, and a private key from its text.

A host whose key is not known is refused, never learnt.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator

import paramiko  # type: ignore[import-untyped]  # ships no types

from controller.model.errors import AuthenticationFailedError
from controller.ports import DeviceTarget, Secret

_KEY_CLASSES: tuple[type[paramiko.PKey], ...] = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


class UnknownHostKeyError(paramiko.SSHException):  # type: ignore[misc]  # paramiko ships no types
    """The host has a key, and we know none for it."""


class RefuseUnknownHosts(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # paramiko ships no types
    """Refuses with an error of its own, so it can be told from other trouble."""

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:  # noqa: ARG002  # paramiko's signature
        """Refuse."""
        raise UnknownHostKeyError(f"no trusted key for {hostname}; it shows {key.get_name()} {key.get_base64()}")


@contextlib.contextmanager
def trusted_keys_file(target: DeviceTarget) -> Iterator[str]:
    """A file of the trusted keys, there while in use; empty text when the user's own `known_hosts` decides."""
    if target.host_key:
        text = f"{_known_hosts_name(target)} {target.host_key.strip()}\n"
    elif target.known_hosts:
        text = target.known_hosts
    else:
        yield ""
        return
    # A file, because netmiko takes no key objects; deleted as soon as the login is over.
    descriptor, name = tempfile.mkstemp(prefix="known-hosts-", text=True)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        yield name
    finally:
        os.unlink(name)  # noqa: PTH108  # the descriptor's plain companion


def _known_hosts_name(target: DeviceTarget) -> str:
    return target.hostname if target.port == 22 else f"[{target.hostname}]:{target.port}"


def private_key(secret: Secret, device: str) -> paramiko.PKey:
    """The key of an OpenSSH or PEM text; `AuthenticationFailedError` when it is none that paramiko reads."""
    for kind in _KEY_CLASSES:
        with contextlib.suppress(paramiko.SSHException, ValueError):
            return kind.from_private_key(io.StringIO(secret.reveal()))
    raise AuthenticationFailedError(
        "the private key is not a readable Ed25519, ECDSA or RSA key",
        remedy="give an unencrypted OpenSSH or PEM private key",
        device=device,
    )
