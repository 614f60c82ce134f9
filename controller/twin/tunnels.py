"""Owns what is proved of tunnels: that segments spell the links that were chosen, are in time, and fit on the links."""

from collections.abc import Iterator, Mapping

from controller.model.identifiers import DeviceName
from controller.topology.network import LinkId
from controller.twin.configuration import Policy
from controller.twin.intended import Intended, TunnelIntent
from controller.twin.model import Model
from controller.twin.provider_core import Carriage, Core
from controller.twin.verdict import CounterExample, Fault, Hop, is_too_slow


def policy_faults(model: Model, core: Core, heads: frozenset[DeviceName]) -> Iterator[CounterExample]:
    """What is wrong with the policies of some head ends, whoever wants them."""
    for head in sorted(heads & model.devices.keys()):
        for policy in model.devices[head].router.policies.values():
            target = core.endpoint_owner(policy.endpoint)
            if target is None:
                yield _fault(Fault.POLICY, head, policy, f"no router has the address {policy.endpoint}")
                continue
            yield from _path_faults(core, head, target, policy)


def _path_faults(core: Core, head: DeviceName, target: DeviceName, policy: Policy) -> Iterator[CounterExample]:
    reasons: list[Carriage] = []
    for path in policy.paths:
        for carried in (core.resolve(head, each.segments) for each in path.lists):
            reasons.append(carried)
            if carried.fault in {Fault.SEGMENT, Fault.LOOP}:
                yield _fault(carried.fault, head, policy, f"path {path.discriminator}: {carried.explanation}", carried)
            elif carried.ways and carried.ways[0].links:
                end = carried.ways[0].links[-1].target.node
                if end != target:
                    why = f"path {path.discriminator} ends at {end}, not at {target}"
                    yield _fault(Fault.DETOUR, head, policy, why, carried)
    if not any(each.ways for each in reasons) and not any(each.fault is Fault.SEGMENT for each in reasons):
        why = "; ".join(each.explanation for each in reasons) or "it has no path"
        yield _fault(Fault.POLICY, head, policy, why, reasons[0] if reasons else None)


def _fault(fault: Fault, head: str, policy: Policy, why: str, carried: Carriage | None = None) -> CounterExample:
    name = policy.name or f"color {policy.color}"
    entry = Hop(head, f"sends it by the policy of color {policy.color} to {policy.endpoint}")
    return CounterExample(
        fault, f"policy {name}", head, policy.endpoint, why, (entry, *(carried.hops if carried else ()))
    )


def tunnel_faults(model: Model, intended: Intended, core: Core) -> Iterator[CounterExample]:
    """What is wrong with the tunnels that were promised."""
    for tunnel in intended.tunnels.values():
        head = model.devices.get(tunnel.source)
        if head is None:
            continue
        policy = head.router.policies.get((tunnel.color, tunnel.endpoint))
        if policy is None:
            entry = Hop(tunnel.source, f"has no policy of color {tunnel.color} to {tunnel.endpoint}")
            yield _tunnel_fault(Fault.POLICY, tunnel, core, "its policy is not on its head end", (entry,))
            continue
        valid = core.valid_paths(tunnel.source, policy)
        if not valid:
            yield _tunnel_fault(Fault.POLICY, tunnel, core, "none of its paths is valid")
            continue
        if core.failure.name == "now":
            yield from _prescribed(core, tunnel, policy)
        delay = valid[0][1].delay_seconds
        if tunnel.delay_bound_seconds is not None and is_too_slow(delay, tunnel.delay_bound_seconds):
            why = f"it takes {delay * 1000:.2f} ms, {tunnel.delay_bound_seconds * 1000:g} ms were promised"
            yield _tunnel_fault(Fault.DELAY, tunnel, core, why, valid[0][1].hops)
    yield from _overfull(intended, core, reserved_rates(model, intended, core))


def _prescribed(core: Core, tunnel: TunnelIntent, policy: Policy) -> Iterator[CounterExample]:
    paths = {path.discriminator: path for path in policy.paths}
    for number, links in tunnel.paths.items():
        if number not in paths:
            yield _tunnel_fault(Fault.DETOUR, tunnel, core, f"its path {number} is not configured")
            continue
        for each in paths[number].lists:
            carried = core.resolve(tunnel.source, each.segments)
            taken = tuple(link.id for link in carried.ways[0].links) if carried.ways else ()
            if taken and links and taken != tuple(links):
                why = f"path {number} takes {', '.join(taken)} instead of {', '.join(links)}"
                yield _tunnel_fault(Fault.DETOUR, tunnel, core, why, carried.hops)


def _tunnel_fault(
    fault: Fault, tunnel: TunnelIntent, core: Core, why: str, hops: tuple[Hop, ...] = ()
) -> CounterExample:
    down = "" if core.failure.name == "now" else core.failure.name
    return CounterExample(fault, f"tunnel {tunnel.name}", tunnel.source, tunnel.endpoint, why, hops, "", down)


def reserved_rates(model: Model, intended: Intended, core: Core) -> dict[LinkId, float]:
    """What the tunnels' promised rates add up to on each link, in bit/s, where they really go."""
    rates: dict[LinkId, float] = {}
    for tunnel in intended.tunnels.values():
        head = model.devices.get(tunnel.source)
        policy = head.router.policies.get((tunnel.color, tunnel.endpoint)) if head else None
        for _, carried in core.valid_paths(tunnel.source, policy)[:1] if policy and tunnel.bit_rate else ():
            for way in carried.ways:
                for link in way.links:
                    rates[link.id] = rates.get(link.id, 0.0) + tunnel.bit_rate * way.share
    return rates


def _overfull(intended: Intended, core: Core, rates: Mapping[LinkId, float]) -> Iterator[CounterExample]:
    for link_id, rate in rates.items():
        link = core.network.links[link_id] if core.network else None
        if link is not None and rate > link.capacity.bits_per_second:
            why = f"{rate / 1e9:.3f} Gbit/s are promised on {link.capacity}"
            hop = Hop(link.source.node, f"over {link.source.name} to {link.target.node}")
            down = "" if core.failure.name == "now" else core.failure.name
            names = ", ".join(sorted(intended.tunnels)[:3])
            yield CounterExample(Fault.CAPACITY, f"link {link_id}", str(link.source), names, why, (hop,), "", down)
