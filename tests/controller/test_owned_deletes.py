"""A delete has an owner like any other wish: it holds as long as the owner stays, and what stood there comes back."""

from controller.datastore.config_tree import ConfigTree
from controller.datastore.contributions import ABSENT, Contributions, Delta
from controller.datastore.diff import apply
from controller.model.identifiers import DeviceName, Owner
from controller.model.yang_path import Step
from controller.ports import ParticipantClass
from controller.transaction.plan import DeviceView, plan_device

ENTRY = (Step("m", "acl", (("name", "old"),)),)
RULE = (*ENTRY, Step("m", "rule"))
OTHER = (Step("m", "mtu"),)
FOUND = {ENTRY: "", RULE: "permit", OTHER: "1500"}
CLEANER = Owner("l3vpn:cleaner/node")


def view(config, contributions):
    return DeviceView(DeviceName("pe1"), ParticipantClass.PERSISTENT, ConfigTree(config), contributions)


def test_an_owned_delete_removes_the_entry_and_its_end_brings_every_line_back():
    contributions = Contributions()
    gone = plan_device(view(FOUND, contributions), Delta(wanted=((ENTRY, CLEANER, ABSENT),)))
    after = apply(FOUND, gone.edit)
    assert after == {OTHER: "1500"}
    contributions.apply(gone.delta)
    back = plan_device(view(after, contributions), contributions.replace_owner(CLEANER, {}))
    assert apply(after, back.edit) == FOUND


def test_an_owned_delete_spares_what_another_service_wants():
    contributions = Contributions()
    contributions.apply(Delta(wanted=((RULE, Owner("l3vpn:acme/node"), "permit"),)))
    plan = plan_device(view(FOUND, contributions), Delta(wanted=((ENTRY, CLEANER, ABSENT),)))
    assert RULE in apply(FOUND, plan.edit)
    assert [conflict.path for conflict in plan.conflicts] == [RULE]
