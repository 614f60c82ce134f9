"""Owns what a tunnel asks of the network when many are placed together."""

from dataclasses import dataclass

from controller.topology.constraints import PathRequest


@dataclass(frozen=True, slots=True)
class TunnelDemand:
    """A tunnel to be placed. `priority` is RFC 3209's setup priority: 0 is served first, 7 last."""

    name: str
    request: PathRequest
    priority: int = 7
