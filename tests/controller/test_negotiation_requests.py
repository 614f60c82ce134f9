"""Requests: what cannot be priced is refused by a check that names it, and what no service could be is no request."""

from dataclasses import replace
from math import inf, nan

import pytest

from controller.model.errors import InvalidInputError
from controller.model.units import BitRate
from controller.negotiation.catalogue import Tier
from controller.negotiation.mesh import Window
from controller.negotiation.quote import QuoteCheck, QuoteRefusal, price
from controller.negotiation.request import ServiceRequest
from tests.controller.market_samples import CATALOGUE, NOW, POLICY, REQUEST, SQUARE, asked, seller
from tests.controller.topology_samples import drawn


@pytest.mark.parametrize(
    "changes, check, named",
    [
        ({"workload_class": "gambling"}, QuoteCheck.WORKLOAD_CLASS, "gambling"),
        ({"z": "atlantis"}, QuoteCheck.PLACE, "atlantis"),
        ({"a": "atlantis"}, QuoteCheck.PLACE, "atlantis"),
        ({"bandwidth": BitRate(10**12)}, QuoteCheck.SERVICE, "r1"),
        ({"latency_seconds": 0.001}, QuoteCheck.SERVICE, "r1"),
        ({"tier": Tier.OPTICAL}, QuoteCheck.SERVICE, "optical"),
        ({"start": NOW - 301}, QuoteCheck.START, "301 s ago"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_by_a_check_that_names_it(
    changes: dict[str, object], check: QuoteCheck, named: str
) -> None:
    refused = price(replace(REQUEST, **changes), seller(), NOW)  # type: ignore[arg-type]
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is check
    assert named in refused.text


def test_where_no_network_is_known_yet_that_is_said() -> None:
    refused = price(REQUEST, replace(seller(), meshes=()), NOW)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.SERVICE
    assert "no network is known yet" in refused.text


def test_a_latency_that_no_path_keeps_is_refused_as_that() -> None:
    far = seller(drawn(("a", "d", 30)))
    refused = asked(far, latency_seconds=0.02)
    assert isinstance(refused, QuoteRefusal)
    assert refused.check is QuoteCheck.PATH
    unconnected = asked(seller(drawn(("a", "b", 1), ("d", "c", 1))))
    assert isinstance(unconnected, QuoteRefusal)
    assert unconnected.check is QuoteCheck.PATH


@pytest.mark.parametrize(
    "changes",
    [
        {"bandwidth": BitRate(0)},
        {"bandwidth": BitRate(-5)},
        {"bandwidth": BitRate(10**16)},
        {"bandwidth": BitRate(True)},
        {"bandwidth": BitRate(1.5)},  # type: ignore[arg-type]
        {"latency_seconds": nan},
        {"latency_seconds": inf},
        {"latency_seconds": 0.0},
        {"latency_seconds": -1},
        {"availability": nan},
        {"availability": 1.01},
        {"availability": "0.99"},
        {"start": nan},
        {"start": 1e300},
        {"start": -1.0},
        {"duration_seconds": 0},
        {"duration_seconds": -1},
        {"duration_seconds": 10**10},
        {"duration_seconds": 1.5},
        {"id": ""},
        {"id": "x" * 129},
        {"id": "\ud800"},
        {"a": "d"},
        {"a": 7},
        {"workload_class": "a\nb"},
        {"consumer": None},
        {"tier": "ip-ish"},
    ],
)
def test_a_request_that_no_service_could_be_is_refused_with_its_member(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        replace(REQUEST, **changes)  # type: ignore[arg-type]
    assert refused.value.path in {*changes, "z"}
    with pytest.raises(InvalidInputError):
        ServiceRequest.from_json({**REQUEST.to_json(), **changes})


def test_a_request_travels_as_json_and_back() -> None:
    request = replace(REQUEST, tier=Tier.OPTICAL, latency_seconds=0.01)
    assert ServiceRequest.from_json(request.to_json()) == request
    with pytest.raises(InvalidInputError, match="exactly"):
        ServiceRequest.from_json({**request.to_json(), "ceiling": 5})


@pytest.mark.parametrize("starts, ends", [(5.0, 5.0), (6.0, 5.0), (nan, 5.0)])
def test_a_window_ends_after_its_start(starts: float, ends: float) -> None:
    with pytest.raises(InvalidInputError, match="window"):
        Window(SQUARE, CATALOGUE, POLICY, starts, ends)


def test_what_is_wrong_with_a_request_is_said_in_its_own_words() -> None:
    with pytest.raises(InvalidInputError, match="to the same place") as refused:
        replace(REQUEST, z=REQUEST.a)
    assert refused.value.path == "z"
    with pytest.raises(InvalidInputError, match="has bandwidth 1000000000000001 "):
        replace(REQUEST, bandwidth=BitRate(10**15 + 1))


def test_a_request_that_names_no_vpn_has_the_form_and_the_digest_that_it_had_before_there_were_any() -> None:
    assert "vpn" not in REQUEST.to_json()
    named = replace(REQUEST, vpn="acme-1")
    assert named.digest != REQUEST.digest
    assert ServiceRequest.from_json(named.to_json()) == named
    with pytest.raises(InvalidInputError, match="exactly"):
        ServiceRequest.from_json({**REQUEST.to_json(), "vpn": ""})
    with pytest.raises(InvalidInputError, match="vpn"):
        ServiceRequest.from_json({**REQUEST.to_json(), "vpn": 7})
