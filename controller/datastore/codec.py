"""Owns the codec contract: how flat configuration is written to and read from one kind of device.

A codec is chosen per device (NETCONF and RESTCONF speak XML, a CLI its templates), so plans can show the exact bytes a
session will send, and sessions stay ignorant of YANG.
"""

from collections.abc import Sequence
from typing import Protocol

from controller.datastore.diff import Edit
from controller.model.yang_path import Config, Path


class Codec(Protocol):
    """Pure translation between `Config` and a device's own words."""

    def encode_edit(self, edit: Edit) -> bytes:
        """The exact payload for `DeviceSession.prepare` or `apply`."""
        ...

    def encode_filters(self, scope: Sequence[Path]) -> Sequence[str]:
        """Filters for `DeviceSession.read` that fetch at least the scope; empty scope reads everything."""
        ...

    def decode(self, body: bytes) -> Config:
        """What a reading says; `ProtocolViolationError` when it cannot be understood."""
        ...
