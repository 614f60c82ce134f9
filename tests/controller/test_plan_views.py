"""How plans are shown: the tree diff, the exact payload, one line per change; forward and in reverse."""

from collections.abc import Callable

import pytest

from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.cli_set_style import SetStyleSyntax
from controller.datastore.codec import Codec
from controller.datastore.codec_cli import CliCodec
from controller.datastore.codec_restconf import RestconfCodec
from controller.datastore.codec_xml import XmlCodec
from controller.model.errors import InvalidInputError
from controller.model.identifiers import DeviceName, PlanId
from controller.ports import ParticipantClass
from controller.transaction.plan import DevicePlan, Plan
from controller.transaction.render import FORMATS, payload, text, unified
from tests.controller.plan_samples import GOLD, IRON, PORT, VRF, Device

Golden = Callable[[str, str], None]
ADDRESS = f"{PORT}/ietf-ip:ipv4/address[ip='192.0.2.1']"
TARGET = f"{VRF}/accord-router:l3vpn/vpn-targets/import[.='0:65000:7']"


def change() -> DevicePlan:
    """A plan with everything in it: entries that come and go, values that change, owners that share and disagree."""
    device = Device({f"{PORT}/description": "left here", f"{PORT}/ietf-ip:ipv4/mtu": "1300"})
    held = {PORT: "", f"{PORT}/type": "iana-if-type:l2vlan", f"{PORT}/enabled": "true"}
    device.commit((GOLD, {**held, f"{PORT}/ietf-ip:ipv4": "", ADDRESS: "", f"{ADDRESS}/prefix-length": "30"}))
    device.commit((IRON, {VRF: "", f"{VRF}/enabled": "true", f"{VRF}/description": "iron"}))
    return device.plan(
        (
            GOLD,
            {**held, f"{PORT}/ietf-ip:ipv4": "", f"{PORT}/ietf-ip:ipv4/mtu": "1400", f"{PORT}/description": "for gold"},
        ),
        (IRON, {f"{PORT}/description": "for iron", f"{VRF}/accord-router:l3vpn": "", TARGET: "", VRF: ""}),
    )


def plan() -> Plan:
    return Plan(PlanId("plan-7"), "a change", (change(), Device().plan()))


def codecs(kind: str) -> Callable[[DeviceName], Codec]:
    schema = load_schema(PROFILE_MODULES["ietf"])
    known: dict[str, Codec] = {
        "netconf": XmlCodec(schema),
        "restconf": RestconfCodec(schema),
        "cli": CliCodec(SetStyleSyntax(schema)),
    }
    return lambda _: known[kind]


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    "format_, kind",
    [("unified", "netconf"), ("paths", "netconf"), ("xml", "netconf"), ("xml", "restconf"), ("cli", "cli")],
)
def test_a_plan_is_shown_as_it_always_was(golden: Golden, format_: str, kind: str, reverse: bool) -> None:
    name = f"plan_{format_}_{kind}{'_reverse' if reverse else ''}.txt"
    golden(name, text(plan(), format_, codecs(kind), reverse=reverse))


def test_what_is_shown_exactly_is_what_is_sent_but_for_blanks() -> None:
    share = change()
    shown = text(plan(), "xml", codecs("netconf")).partition("\n")[2]
    sent = payload(share, codecs("netconf")(share.device)).decode()
    assert shown.replace("\n", "").replace("  ", "") == sent.replace("  ", "")


def test_a_device_without_a_change_is_not_shown() -> None:
    nothing = Plan(PlanId("p"), "s", (Device().plan(),))
    for format_ in ("unified", "paths", "xml", "cli"):
        assert text(nothing, format_, codecs("netconf")) == ""


def test_the_reverse_is_shown_with_the_signs_turned() -> None:
    forward = sorted((line.sign, line.text) for line in unified(change()) if line.sign != " ")
    turned = {"+": "-", "-": "+"}
    backward = sorted((turned[line.sign], line.text) for line in unified(change(), reverse=True) if line.sign != " ")
    assert forward == backward


def test_every_changed_line_of_the_tree_stands_below_its_parents() -> None:
    open_depth = 0
    for line in unified(change()):
        assert line.depth <= open_depth + 1, line
        open_depth = line.depth


def test_a_format_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(InvalidInputError) as caught:
        text(plan(), "colour", codecs("netconf"))
    assert all(name in str(caught.value.remedy) for name in FORMATS)


def test_the_heading_says_how_the_device_takes_part_and_what_it_costs() -> None:
    device = Device(participant=ParticipantClass.IMMEDIATE)
    shown = text(Plan(PlanId("p"), "s", (device.plan((GOLD, {PORT: ""})),)), "paths", codecs("netconf"))
    assert shown.startswith("[r1]  immediate  impact: hitless (only adds what was not there)\n+ /ietf-interfaces")


def test_no_value_can_pass_for_a_line_of_the_diff() -> None:
    device = Device()
    share = device.plan((GOLD, {f"{PORT}/description": "harmless\n+ enabled true\t\u202eé"}))
    sly = Plan(PlanId("p"), "s", (share,))
    for format_ in ("unified", "paths"):
        shown = text(sly, format_, codecs("netconf"))
        assert "harmless\\n+ enabled true\\t\\u202eé" in shown
        assert not any(line.startswith("+ enabled") for line in shown.splitlines())
