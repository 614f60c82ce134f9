"""Owns the unit of rendering: what one owner wants on one device, and the choice of the profile that tells it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, NamedTuple, cast
from urllib.parse import quote

from controller.mapping import profile_ietf, profile_openconfig
from controller.mapping.network_model import NetworkAccess, VpnNode
from controller.model.errors import NotSupportedError
from controller.model.identifiers import DeviceName, Owner, ServiceId
from controller.model.yang_path import Path


@dataclass(frozen=True, slots=True)
class Fragment:
    """A VPN node or a network access, wanted by `owner` on `device`, to be told in `profile`. Hashable."""

    owner: Owner
    device: DeviceName
    profile: str
    node: VpnNode | None = None
    access: NetworkAccess | None = None

    def __post_init__(self) -> None:
        """Exactly one content."""
        if (self.node is None) == (self.access is None):
            raise ValueError(f"the fragment of {self.owner} needs a node or an access")


def service_id(vpn_id: str) -> ServiceId:
    """The service of a VPN; characters that would end an owner's service part are percent-encoded."""
    return ServiceId(f"l3vpn:{quote(vpn_id, safe=' :')}")


def node_owner(vpn_id: str, device: DeviceName, vrf: str) -> Owner:
    """Who wants a VPN's VRF on a device."""
    return Owner(f"{service_id(vpn_id)}/node/{device}/{vrf}")


def access_owner(vpn_id: str, site_id: str, access_id: str) -> Owner:
    """Who wants an access in a VPN."""
    return Owner(f"{service_id(vpn_id)}/access/{quote(site_id, safe=' :')}/{quote(access_id, safe=' :')}")


class Profile(NamedTuple):
    """A device type: how it is told of nodes and accesses."""

    node: Callable[[VpnNode], dict[Path, str]]
    access: Callable[[NetworkAccess], dict[Path, str]]
    check_node: Callable[[VpnNode], None]
    check_access: Callable[[NetworkAccess], None]
    """Refuse what the device type cannot be told, cheaply: `NotSupportedError` with a path relative to the access."""


def _anything(_: object) -> None:
    """Nothing is refused: our own module says whatever the network model holds."""


PROFILES: Final[Mapping[str, Profile]] = MappingProxyType(
    {
        "ietf": Profile(profile_ietf.render_node, profile_ietf.render_access, _anything, _anything),
        "openconfig": Profile(
            profile_openconfig.render_node,
            profile_openconfig.render_access,
            profile_openconfig.check_node,
            profile_openconfig.check_access,
        ),
    }
)


def _profile(fragment: Fragment) -> Profile:
    profile = PROFILES.get(fragment.profile)
    if profile is None:
        raise NotSupportedError(
            f"there is no device profile '{fragment.profile}'",
            device=fragment.device,
            remedy=f"use one of: {', '.join(sorted(PROFILES))}",
        )
    return profile


def check(fragment: Fragment) -> None:
    """Refuse a fragment that its device cannot be told: `NotSupportedError`, path relative to the site or access."""
    profile = _profile(fragment)
    if fragment.node is not None:
        profile.check_node(fragment.node)
    elif fragment.access is not None:
        profile.check_access(fragment.access)


def render(fragment: Fragment) -> dict[Path, str]:
    """The configuration lines of a fragment; a pure function, so it can be memoised on the fragment.

    `NotSupportedError` names what the profile cannot say, or the profile when there is none of that name.
    """
    profile = _profile(fragment)
    if fragment.node is not None:
        return profile.node(fragment.node)
    return profile.access(cast("NetworkAccess", fragment.access))
