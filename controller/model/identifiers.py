"""Owns the names of things. Each is a `str` at run time, so it costs nothing and travels in JSON unchanged."""

from typing import NewType

DeviceName = NewType("DeviceName", str)
"""Inventory key of a device."""

Owner = NewType("Owner", str)
"""Who wants a configuration line: `l3vpn:<vpn-id>/<part>` for services, `device:<name>` for adopted configuration,
`oob@<name>` for out-of-band changes that were accepted as wanted. The part before the first `/` is the service."""

ServiceId = NewType("ServiceId", str)
"""`l3vpn:<vpn-id>`."""

IntentId = NewType("IntentId", str)
PlanId = NewType("PlanId", str)
TransactionId = NewType("TransactionId", str)
"""Also the `persist` token of its confirmed commits (RFC 6241 8.4.5.1)."""


def service_of(owner: Owner) -> ServiceId:
    """The service an owner belongs to: everything before the first `/`."""
    return ServiceId(owner.partition("/")[0])
