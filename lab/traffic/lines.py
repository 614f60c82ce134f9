"""How the lab talks with a process that sends or receives: lines of JSON on its standard input and output.

Owns the child's end of it.
"""

from __future__ import annotations

import json
import os
import sys

_MOST = 65536


def say(**members: object) -> None:
    """Answer with one object."""
    sys.stdout.write(json.dumps(members) + "\n")
    sys.stdout.flush()


class InputLines:
    """The lines of standard input, read when select(2) says so."""

    def __init__(self) -> None:
        self.open = True
        self._rest = b""

    def fileno(self) -> int:
        """What to select on."""
        return sys.stdin.fileno()

    def read(self) -> list[bytes]:
        """The whole lines that have come."""
        octets = os.read(self.fileno(), _MOST)
        self.open = bool(octets)
        *lines, self._rest = (self._rest + octets).split(b"\n")
        return lines
