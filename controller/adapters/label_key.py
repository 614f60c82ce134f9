"""Owns the key that makes pseudonyms of askers' names: read from a file, made on the first start."""

import os
import secrets
import stat
from pathlib import Path

from controller.model.errors import InvalidInputError

_OCTETS = 32
_MOST_OCTETS = 4096


def label_key(file: Path) -> bytes:
    """The key in a file that its owner alone can read; a new one where there is no file yet."""
    try:
        made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(file)
    except OSError as error:
        raise InvalidInputError(f"cannot make the label key: {error.strerror}", path=str(file)) from error
    key = secrets.token_bytes(_OCTETS)
    with os.fdopen(made, "wb") as stream:
        stream.write(key)
        stream.flush()
        os.fsync(stream.fileno())
    return key


def _read(file: Path) -> bytes:
    try:
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise InvalidInputError(
                f"others can read the label key '{file}'", remedy=f"chmod 600 {file}", path=str(file)
            )
        key = file.read_bytes()[:_MOST_OCTETS]
    except OSError as error:
        raise InvalidInputError(f"cannot read the label key: {error.strerror}", path=str(file)) from error
    if len(key) < _OCTETS:
        raise InvalidInputError(
            f"the label key '{file}' has {len(key)} octets, not {_OCTETS}",
            remedy="remove it: another is made, and labels begin anew",
            path=str(file),
        )
    return key
