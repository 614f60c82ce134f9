"""What a device must change so that everybody gets what they want, and what comes back when they leave."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from controller.datastore.contributions import resolve
from controller.datastore.diff import Change
from controller.model.identifiers import DeviceName, Owner, PlanId
from controller.model.yang_path import parse_path
from controller.ports import NewEvent, ParticipantClass
from controller.transaction.impact import Impact, impact_of
from controller.transaction.plan import Conflict, Plan, before_owner, plan_repair
from controller.transaction.plan_json import plan_from_json, plan_to_json
from tests.controller.plan_samples import GOLD, IRON, PORT, R1, VRF, Device, after, changes, lines

ENTRY, MTU, TEXT = PORT, f"{PORT}/ietf-ip:ipv4/mtu", f"{PORT}/description"
HELD = {ENTRY: "", f"{PORT}/type": "iana-if-type:l2vlan"}
OWNERS = st.sampled_from([GOLD, IRON, Owner("l3vpn:zinc/node/r1/zinc")])
WISHES = st.dictionaries(st.sampled_from([MTU, TEXT, f"{VRF}/description"]), st.sampled_from(["1", "2", "3"]))


def test_two_services_that_share_an_interface_create_it_once_and_the_last_takes_it_away() -> None:
    device = Device()
    device.commit((GOLD, HELD))
    shared = device.commit((IRON, HELD | {TEXT: "iron"}))
    assert changes(shared) == {parse_path(TEXT): (None, "iron")}
    gone = device.commit((GOLD, {}))
    assert gone.edit == (), "iron still wants all of it"
    assert device.commit((IRON, {})).scope == (parse_path(ENTRY),)
    assert device.holds() == {}


def test_an_entry_that_another_holds_is_not_deleted_only_what_was_the_owners_own() -> None:
    device = Device()
    device.commit((GOLD, HELD | {TEXT: "gold"}))
    device.commit((IRON, {MTU: "1400"}))
    gone = device.plan((GOLD, {}))
    assert changes(gone) == {
        parse_path(f"{PORT}/type"): ("iana-if-type:l2vlan", None),
        parse_path(TEXT): ("gold", None),
    }
    assert parse_path(MTU) in after(device, gone)


def test_conflicting_values_are_shown_with_their_owners_and_the_loser_comes_back() -> None:
    device = Device()
    device.commit((IRON, HELD | {MTU: "1400"}))
    meets = device.commit((GOLD, HELD | {MTU: "9000"}))
    assert meets.conflicts == (Conflict(parse_path(MTU), ((GOLD, "9000"), (IRON, "1400"))),)
    assert changes(meets) == {parse_path(MTU): ("1400", "9000")}
    assert meets.owners[parse_path(MTU)] == (GOLD, IRON)
    leaves = device.commit((GOLD, {}))
    assert changes(leaves) == {parse_path(MTU): ("9000", "1400")}
    assert leaves.conflicts == ()


def test_a_conflict_that_the_newcomer_loses_is_shown_though_nothing_is_sent() -> None:
    device = Device()
    device.commit((GOLD, HELD | {MTU: "9000"}))
    meets = device.plan((IRON, {MTU: "1400"}))
    assert meets.edit == ()
    assert [conflict.path for conflict in meets.conflicts] == [parse_path(MTU)]


def test_what_stood_there_before_comes_back_when_the_last_service_leaves() -> None:
    found = HELD | {MTU: "1300", TEXT: "left here"}
    device = Device(found)
    device.commit((GOLD, HELD | {MTU: "1400"}))
    device.commit((IRON, {MTU: "1400"}))
    assert device.commit((GOLD, {})).edit == ()
    assert changes(device.commit((IRON, {}))) == {parse_path(MTU): ("1400", "1300")}
    assert device.holds() == lines(found)


def test_a_value_of_nobodys_that_is_as_wanted_stays_when_the_service_leaves() -> None:
    device = Device(HELD)
    assert device.commit((GOLD, HELD)).edit == ()
    assert device.commit((GOLD, {})).edit == ()
    assert device.holds() == lines(HELD)


def test_what_was_kept_once_and_is_gone_from_the_device_does_not_come_back() -> None:
    device = Device({MTU: "1300"})
    device.commit((GOLD, {MTU: "1400"}))
    device.commit((GOLD, {}))
    device.config.replace([parse_path(MTU)], {})
    device.commit((IRON, {MTU: "1500"}))
    device.commit((IRON, {}))
    assert device.holds() == {}


def test_what_was_kept_is_what_stood_there_last() -> None:
    device = Device({MTU: "1300"})
    device.commit((GOLD, {MTU: "1400"}))
    device.commit((GOLD, {}))
    device.config.replace([parse_path(MTU)], lines({MTU: "1350"}))
    device.commit((IRON, {MTU: "1500"}))
    device.commit((IRON, {}))
    assert device.holds() == lines({MTU: "1350"})


def test_a_deleted_line_names_who_wanted_it_and_a_changed_one_who_wants_it_now() -> None:
    device = Device()
    device.commit((GOLD, HELD | {TEXT: "gold"}))
    plan = device.plan((GOLD, {**HELD, MTU: "1400"}))
    assert plan.owners == {parse_path(TEXT): (GOLD,), parse_path(MTU): (GOLD,)}
    assert plan.replaced == ((parse_path(TEXT), GOLD, "gold"),)


def test_a_plan_changes_nothing_by_being_made() -> None:
    device = Device({MTU: "1300"})
    device.plan((GOLD, HELD | {MTU: "1400"}))
    assert device.holds() == lines({MTU: "1300"})
    assert list(device.contributions.owners()) == []


def test_a_value_that_the_device_rewrites_is_neither_drift_nor_sent_again() -> None:
    device = Device()
    device.commit((GOLD, HELD | {TEXT: "GOLD"}))
    device.config.replace([parse_path(TEXT)], lines({TEXT: "gold"}))
    assert changes(plan_repair(device.view)) == {parse_path(TEXT): ("gold", "GOLD")}
    device.rewrites[parse_path(TEXT)] = ("GOLD", "gold")
    assert plan_repair(device.view).edit == ()
    assert device.plan((IRON, {TEXT: "GOLD"})).edit == ()
    device.config.replace([parse_path(TEXT)], lines({TEXT: "somebody's"}))
    assert changes(plan_repair(device.view)) == {parse_path(TEXT): ("somebody's", "GOLD")}


def test_a_repair_puts_back_what_is_owned_and_touches_nothing_else() -> None:
    device = Device({f"{VRF}/description": "nobody's"})
    device.commit((GOLD, HELD | {MTU: "1400"}))
    device.config.replace([parse_path(ENTRY)], lines({f"{VRF}/enabled": "true"}))
    repair = plan_repair(device.view)
    assert not repair.delta
    assert after(device, repair) == lines(
        HELD | {MTU: "1400", f"{VRF}/enabled": "true", f"{VRF}/description": "nobody's"}
    )
    assert set(repair.owners) == set(lines(HELD | {MTU: ""}))


def test_a_repair_does_not_bring_back_what_only_stood_there_before() -> None:
    device = Device({MTU: "1300"})
    device.commit((GOLD, {MTU: "1400"}))
    device.commit((GOLD, {}))
    device.config.replace([parse_path(MTU)], {})
    assert device.contributions.at(parse_path(MTU)) == {before_owner(R1): "1300"}
    assert plan_repair(device.view).edit == ()


@given(st.lists(st.tuples(OWNERS, WISHES), max_size=6), st.dictionaries(st.sampled_from([MTU, TEXT]), st.just("0")))
def test_whatever_services_do_the_device_holds_what_is_wanted_and_in_the_end_what_was_found(
    steps: list[tuple[Owner, dict[str, str]]], found: dict[str, str]
) -> None:
    device = Device(found)
    for owner, wishes in [*steps, *((owner, {}) for owner, _ in steps)]:
        held = device.holds()
        plan = device.commit((owner, wishes))
        wanted = {path: resolve(at) for path, at in device.contributions.by_path.items()}
        assert {path: device.config.get(path) for path in wanted} == wanted
        back = Device()
        back.config.apply(tuple(Change(path, None, value) for path, value in device.holds().items()))
        back.config.apply(plan.reverse)
        assert back.holds() == held
    assert device.holds() == lines(found)


def plan_of(*devices: Device) -> Plan:
    return Plan(PlanId("p"), "s", tuple(device.plan((GOLD, HELD | {MTU: "1400"})) for device in devices))


def test_the_checksum_moves_with_any_edit_base_or_owner_and_with_nothing_else() -> None:
    plan = plan_of(Device({MTU: "1300"}))
    (share,) = plan.devices
    others = [
        replace(share, edit=(*share.edit[:-1], replace(share.edit[-1], new="other"))),
        replace(share, edit=share.edit[:-1]),
        replace(share, base={parse_path(MTU): "1301"}),
        replace(share, owners=dict.fromkeys(share.owners, (IRON,))),
        replace(share, participant=ParticipantClass.IMMEDIATE),
        replace(share, device=DeviceName("r2")),
    ]
    sums = [plan.checksum, *(replace(plan, devices=(other,)).checksum for other in others)]
    assert len(set(sums)) == len(sums)
    assert replace(plan, id=PlanId("q"), summary="t").checksum == plan.checksum
    assert replace(plan, devices=(share, share)).checksum != plan.checksum
    assert plan_of(Device({MTU: "1300"})).checksum == plan.checksum


def test_a_plan_survives_being_stored() -> None:
    device = Device({MTU: "1300", f"{PORT}/description": 'it\'s "here"'})
    device.commit((IRON, {MTU: "1450"}))
    plan = replace(
        plan_of(device),
        effects=(NewEvent("services", "services.changed", {"change": {}}),),
        waves=((R1,),),
    )
    stored = plan_to_json(plan)
    assert plan_from_json(stored) == plan
    assert plan_from_json(stored).checksum == stored["checksum"] == plan.checksum
    assert stored["devices"][0]["conflicts"] == [[MTU, [[GOLD, "1400"], [IRON, "1450"], [before_owner(R1), "1300"]]]]
    assert stored["devices"][0]["edit"][-1] == [MTU, "1450", "1400"]


def test_a_plan_without_a_change_says_so() -> None:
    device = Device(HELD)
    plan = Plan(PlanId("p"), "s", (device.plan((GOLD, HELD)),))
    assert plan.is_empty
    assert plan.changed == ()
    assert plan.impact == (Impact.NONE, "no change")
    assert Plan(PlanId("p"), "s", ()).impact == (Impact.NONE, "no change")


def impact(path: str, old: str | None, new: str | None) -> Impact:
    return impact_of((Change(parse_path(path), old, new),))[0]


def test_adding_hurts_nobody_removing_does_and_the_worst_decides() -> None:
    assert impact(f"{PORT}/enabled", None, "true") is Impact.HITLESS
    assert impact(f"{PORT}/enabled", "true", "false") is Impact.TRAFFIC_AFFECTING
    assert impact(f"{PORT}/description", "a", None) is Impact.HITLESS
    assert impact(f"{VRF}/accord-router:l3vpn/route-distinguisher", "a", "b") is Impact.SESSION_RESET
    assert (
        impact(f"{VRF}/accord-router:l3vpn/bgp/neighbor[remote-address='1']/remote-as", "1", "2")
        is Impact.SESSION_RESET
    )
    assert impact(f"{PORT}/accord-router:qos/input-bandwidth", "1", "2") is Impact.HITLESS
    assert impact(f"{VRF}/accord-router:novelty", "1", "2") is Impact.TRAFFIC_AFFECTING, "what no rule knows may hurt"
    worst = impact_of(
        (
            Change(parse_path(f"{PORT}/description"), "a", "b"),
            Change(parse_path(f"{PORT}/ietf-ip:ipv4/mtu"), "1500", "1400"),
        )
    )
    assert worst == (Impact.TRAFFIC_AFFECTING, "an MTU change restarts the interface")
