"""Where accesses go: location, capacity, bearer, diversity; and what a refusal says."""

from typing import Any

import pytest

from controller.mapping.infrastructure import Infrastructure
from controller.mapping.service import L3smState
from controller.model.errors import InvalidInputError
from tests.controller.mapping_samples import access, edit, make, network, port, router, service, site

ID = "ietf-l3vpn-svc:"


def constraint(kind: str, **target: Any) -> dict[str, Any]:
    return {
        "constraints": {
            "constraint": [
                {"constraint-type": ID + kind, "target": target or {"all-other-accesses": [None]}},
            ]
        }
    }


def place(
    *accesses: Any, on: Infrastructure | None = None, city: str = "London", country: str = "GB"
) -> list[tuple[str, str]]:
    state, _ = make(edit(service(), site("s", city, country, *accesses)), on=on)
    return [
        (
            state.placements["s", each["site-network-access-id"]].device,
            state.placements["s", each["site-network-access-id"]].port,
        )
        for each in accesses
    ]


@pytest.mark.parametrize(
    "kind", ["pe-diverse", "pop-diverse", "bearer-diverse", "linecard-diverse", "same-pe", "same-bearer"]
)
def test_two_accesses_of_a_site_keep_their_constraint(kind: str) -> None:
    first, second = place(access(1, "a1"), access(2, "a2", access_diversity=constraint(kind)))
    same_pe, same_port = first[0] == second[0], first == second
    assert {
        "pe-diverse": not same_pe,
        "pop-diverse": not same_pe,
        "bearer-diverse": not same_port,
        "linecard-diverse": not same_port,
        "same-pe": same_pe,
        "same-bearer": same_port,
    }[kind]


def test_a_constraint_holds_against_accesses_that_come_later() -> None:
    guarded = access(1, "a1", access_diversity=constraint("pe-diverse"))
    state, _ = make(
        edit(service(), site("s", "London", "GB", guarded)),
        edit(site("s", "London", "GB", guarded, access(2, "a2"))),
    )
    assert state.placements["s", "a1"].device != state.placements["s", "a2"].device


def test_a_constraint_that_nothing_meets_is_named_with_the_candidates() -> None:
    with pytest.raises(
        InvalidInputError, match=r"pe-diverse cannot be met: others stand at par1 ge0; candidates were par1"
    ):
        place(access(1, "a1"), access(2, "a2", access_diversity=constraint("pe-diverse")), city="Paris", country="FR")
    try:
        place(access(1, "a1"), access(2, "a2", access_diversity=constraint("pe-diverse")), city="Paris", country="FR")
    except InvalidInputError as error:
        path = error.path
    assert path.endswith("/access-diversity/constraints/constraint[constraint-type='pe-diverse']")


def test_groups_of_one_customer_mean_nothing_to_another() -> None:
    group = {"groups": {"group": [{"group-id": "g"}]}}
    state, _ = make(
        edit(
            service(),
            service("other", customer="Other"),
            site("a", "London", "GB", access(1, access_diversity=group)),
            site(
                "b",
                "London",
                "GB",
                access(2, vpn_id="other", access_diversity=constraint("same-pe", group=[{"group-id": "g"}])),
            ),
        )
    )
    assert state.placements["a", "a1"].device != state.placements["b", "a1"].device


def test_an_access_goes_where_there_is_room_and_is_refused_when_there_is_none() -> None:
    small = network(router("p1", "Paris", "FR", 1, ports=(port("ge0", 1), port("ge1", 1))))
    wide = {"svc-input-bandwidth": "600000000", "svc-output-bandwidth": "10", "svc-mtu": 1500}
    one, two, three = (access(n, f"a{n}", service=wide) for n in (1, 2, 3))
    assert place(one, two, on=small, city="Paris", country="FR") == [("p1", "ge0"), ("p1", "ge1")]
    with pytest.raises(InvalidInputError, match="no port has 600000000 bit/s and a VLAN left among p1 ge0, p1 ge1"):
        place(one, two, three, on=small, city="Paris", country="FR")


def test_a_city_without_a_router_is_served_by_the_nearest_one_of_its_country() -> None:
    assert place(access(1), city="Reading", country="GB")[0][0] == "lon2"
    with pytest.raises(InvalidInputError, match="no router serves 'Lyon, FR'; there are routers in Paris, FR"):
        place(access(1), city="Lyon", country="FR")


def test_a_bearer_reference_is_the_port_and_nobody_else_gets_it() -> None:
    many = [access(n, f"a{n}") for n in range(4)]
    pinned = access(9, "a9", bearer={"bearer-reference": "B-77"})
    places = place(*many, pinned, city="Madrid", country="ES")
    assert places == [("mad1", "ge0")] * 4 + [("mad1", "ge9")]
    with pytest.raises(InvalidInputError, match="there is no bearer 'B-78'"):
        place(access(1, bearer={"bearer-reference": "B-78"}))


def test_a_strict_bearer_type_is_kept_and_a_wish_is_only_preferred() -> None:
    on = network(router("l1", "London", "GB", 1, ports=(port("ge0"), port("ge1", bearer_type="fibre"))))
    for strict in (True, False):
        asked = {"requested-type": {"requested-type": "fibre", "strict": strict}}
        assert place(access(1, bearer=asked), on=on) == [("l1", "ge1")]
    with pytest.raises(InvalidInputError, match="no port has the bearer type 'radio'"):
        place(access(1, bearer={"requested-type": {"requested-type": "radio", "strict": True}}), on=on)


def test_an_access_stays_where_it_is_when_something_else_of_it_changes() -> None:
    state, _ = make(edit(service(), site("a", "London", "GB", access(1)), site("b", "London", "GB", access(2))))
    before = state.placements["b", "a1"]
    faster = {"svc-input-bandwidth": "900000000", "svc-output-bandwidth": "10", "svc-mtu": 1500}
    state.apply(state.change(edit(delete=("a",)), network()))
    state.apply(state.change(edit(site("b", "London", "GB", access(2, service=faster))), network()))
    after = state.placements["b", "a1"]
    assert (after.device, after.port, after.vlan) == (before.device, before.port, before.vlan)


def test_the_same_services_are_placed_the_same_way() -> None:
    def build() -> L3smState:
        sites = [site(f"s{n}", "London", "GB", access(n)) for n in range(12)]
        return make(edit(service(), *sites))[0]

    assert build().placements == build().placements
    assert len({p.device for p in build().placements.values()}) == 2
