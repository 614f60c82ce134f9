"""Owns what `show interfaces extensive` answers: state and counters of every interface, in the style of Junos."""

from lxml import etree

from lab.router.forwarding import IF

_MEGA = 10**6


def render_interfaces(state: etree._Element) -> str:
    """The interfaces of a <data> tree of operational state as text."""
    found = state.iterfind(f"{IF}interfaces/{IF}interface")
    return "\n".join(_interface(interface) for interface in found)


def _interface(interface: etree._Element) -> str:
    def told(path: str, otherwise: str = "0") -> str:
        return interface.findtext("/".join(f"{IF}{step}" for step in path.split("/")), otherwise)

    is_up = told("oper-status", "down") == "up"
    speed = int(told("speed"))
    lines = (
        f"Physical interface: {told('name', '')}, Enabled, Physical link is {'Up' if is_up else 'Down'}",
        f"  Link-level type: Ethernet, Speed: {f'{speed // _MEGA}mbps' if speed else 'Unspecified'}",
        f"  Statistics last cleared: {told('statistics/discontinuity-time', 'Never')}",
        "  Traffic statistics:",
        f"   Input  bytes  : {told('statistics/in-octets'):>20}",
        f"   Output bytes  : {told('statistics/out-octets'):>20}",
        f"  Output errors: Drops: {told('statistics/out-discards')}, Errors: 0",
    )
    return "".join(f"{line}\n" for line in lines)
