"""Where a customer's host lives: what a forwarding plane answers when traffic asks for one.

Owns `Host` and `TrafficError`.
"""

from __future__ import annotations

from dataclasses import dataclass


class TrafficError(ValueError):
    """Traffic that cannot be sent as asked; names the attachment or program and what to do."""


@dataclass(frozen=True, slots=True)
class Host:
    """A customer's host: a process whose network namespace it has (`process` is its id), and its address there."""

    process: int
    address: str
