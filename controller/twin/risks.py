"""Owns what single failures would break: each link, node and shared risk link group that the traffic concerned uses."""

from collections.abc import Iterator
from dataclasses import dataclass

from controller.model.identifiers import DeviceName
from controller.twin.entry import Source, vrf_of
from controller.twin.intended import Member
from controller.twin.provider_core import Core, single_failures
from controller.twin.reach import Reach
from controller.twin.scope import Scope
from controller.twin.tunnels import tunnel_faults
from controller.twin.verdict import CounterExample

_MOST_FAILURES = 400
_MOST_PAIRS = 200


@dataclass(slots=True)
class Risks:
    """Tries failures on what a proof has found to be well."""

    reach: Reach
    scope: Scope
    tried: int = 0
    notes: tuple[str, ...] = ()

    def faults(self) -> Iterator[CounterExample]:
        """What each failure breaks; nothing where the core is not known."""
        model = self.reach.state.model
        if model.network is None:
            return
        samples = self._samples()
        core = model.core()
        used = {link.id for key in samples for way in core.carry(*key).ways for link in way.links}
        is_tunnel = bool((self.scope.is_core or self.scope.heads) and self.reach.state.intended.tunnels)
        failures = [
            failure
            for failure in single_failures(model.network)
            if is_tunnel or any(failure.hits(model.network.links[link]) for link in used)
        ]
        if len(failures) > _MOST_FAILURES:
            self.notes = (*self.notes, f"only {_MOST_FAILURES} of {len(failures)} single failures were tried")
        for failure in failures[:_MOST_FAILURES]:
            self.tried += 1
            broken = Core(model.devices, model.network, failure)
            yield from self._broken(broken, samples)
            if is_tunnel:
                yield from tunnel_faults(model, self.reach.state.intended, broken)

    def _samples(self) -> dict[tuple[DeviceName, DeviceName, str, int], tuple[Source, Member, str]]:
        """One packet for each pair of routers and color that the VPNs concerned use."""
        found: dict[tuple[DeviceName, DeviceName, str, int], tuple[Source, Member, str]] = {}
        state = self.reach.state
        for vpn in sorted(self.scope.vpns):
            members = self.reach.members(vpn)
            for source in self.reach.senders(vpn):
                instance = state.model.instance(source.key)
                for target in members.values():
                    key = (source.key[0], target.attachment.device, "", instance.color if instance else 0)
                    if key in found or not target.prefixes or source.key[0] == target.attachment.device:
                        continue
                    if vrf_of(state.model, target.attachment) and state.intended.must_send(source.members[0], target):
                        found[key] = (source, target, next(iter(target.prefixes)))
                        if len(found) == _MOST_PAIRS:
                            self.notes = (*self.notes, f"failures were tried on {_MOST_PAIRS} pairs of routers only")
                            return found
        return found

    def _broken(
        self, core: Core, samples: dict[tuple[DeviceName, DeviceName, str, int], tuple[Source, Member, str]]
    ) -> Iterator[CounterExample]:
        down = core.failure.nodes
        for (source_device, target_device, _, _), (source, target, destination) in samples.items():
            if source_device not in down and target_device not in down:
                yield from self.reach.packet(source, target, destination, core)
