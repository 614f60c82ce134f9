"""A small device for the tests of plans: an interface that services share."""

from collections.abc import Mapping

from controller.datastore.config_tree import ConfigTree
from controller.datastore.contributions import Contributions, Delta, merge_deltas
from controller.datastore.diff import apply
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Path, parse_path
from controller.ports import ParticipantClass
from controller.transaction.plan import DevicePlan, DeviceView, plan_device

R1 = DeviceName("r1")
GOLD, IRON = Owner("l3vpn:gold/access/london/a1"), Owner("l3vpn:iron/access/london/a1")
PORT = "/ietf-interfaces:interfaces/interface[name='ge0']"
VRF = "/ietf-network-instance:network-instances/network-instance[name='gold']"

Texts = Mapping[str, str]


def lines(texts: Texts) -> dict[Path, str]:
    return {parse_path(text): value for text, value in texts.items()}


class Device:
    """A device that carries out its plans at once."""

    def __init__(
        self, config: Texts | None = None, *, participant: ParticipantClass = ParticipantClass.PERSISTENT
    ) -> None:
        self.config = ConfigTree(lines(config or {}))
        self.contributions = Contributions()
        self.rewrites: dict[Path, tuple[str, str]] = {}
        self.participant = participant

    @property
    def view(self) -> DeviceView:
        return DeviceView(R1, self.participant, self.config, self.contributions, self.rewrites)

    def wish(self, owner: Owner, texts: Texts) -> Delta:
        return self.contributions.replace_owner(owner, lines(texts))

    def plan(self, *wishes: tuple[Owner, Texts]) -> DevicePlan:
        return plan_device(self.view, merge_deltas(self.wish(owner, texts) for owner, texts in wishes))

    def commit(self, *wishes: tuple[Owner, Texts]) -> DevicePlan:
        plan = self.plan(*wishes)
        self.carry_out(plan)
        return plan

    def carry_out(self, plan: DevicePlan) -> None:
        assert plan.base == self.config.within(plan.scope), "planned on something else"
        self.config.apply(plan.edit)
        self.contributions.apply(plan.delta)

    def holds(self) -> dict[Path, str]:
        return dict(self.config)


def after(device: Device, plan: DevicePlan) -> dict[Path, str]:
    """What the device would hold."""
    return apply(device.holds(), plan.edit)


def changes(plan: DevicePlan) -> dict[Path, tuple[str | None, str | None]]:
    return {change.path: (change.old, change.new) for change in plan.edit}
