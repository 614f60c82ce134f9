"""Agreements bind both sides, chain to their first, and change only by what the class and the wallet allow."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation.agreement import (
    Agreement,
    ServiceLevel,
    Strategy,
    Terms,
    sign_terms,
    verify_agreement,
    verify_chain,
)
from controller.negotiation.catalogue import Axis
from controller.negotiation.guardrails import Account, OfferCheck, refusal_of
from controller.negotiation.judge import Rules, decided
from controller.negotiation.strategy import (
    CHOICES,
    TEMPERS,
    Risk,
    Temper,
    amount_on_top,
    given_back,
    level_of,
    net_gain,
    step_back,
    temper_of,
    variations,
)
from controller.negotiation.wallet import ClassTerms, ServiceLevelFloor, WalletTerms
from tests.controller.market_samples import CATALOGUE
from tests.controller.negotiation_samples import (
    CONSUMER_KEY,
    NOW,
    PROVIDER_KEY,
    REQUEST,
    STRANGER_KEY,
    euro,
    key_of,
    quote,
    reissue,
    signed,
    terms,
)

LINE = WalletTerms(
    ceiling=euro("100.00"),
    classes={"order-execution": ClassTerms(euro("50.00")), "bulk-transfer": ClassTerms(None, Fraction(1, 10))},
    valid_from=int(NOW) - 60,
    valid_until=int(NOW) + 86_400,
    floor=ServiceLevelFloor(BitRate(100_000_000), Duration(50_000), Fraction("0.99")),
    maximum_rate_per_hour=euro("60.00"),
)


# -- the chain ---------------------------------------------------------------------------------------------------------


def test_an_agreement_is_signed_by_both_and_reads_as_it_was_written() -> None:
    made = signed(terms())
    verify_agreement(made, key_of)
    assert Agreement.from_json(made.to_json()) == made


@pytest.mark.parametrize("side", ["consumer_signature", "provider_signature"])
def test_an_agreement_is_none_without_each_sides_own_signature(side: str) -> None:
    made = signed(terms())
    for key in (STRANGER_KEY, PROVIDER_KEY if side.startswith("consumer") else CONSUMER_KEY):
        with pytest.raises(InvalidInputError):
            verify_agreement(replace(made, **{side: sign_terms(made.terms, key)}), key_of)


@pytest.mark.parametrize(
    "change",
    [
        {"amount": euro("0.01")},
        {"wallet": "did:web:bank.example/other"},
        {"request": replace(REQUEST, bandwidth=BitRate(10**9))},
        {"level": ServiceLevel("optical", 200_000_000, 1_000, 999_999)},
        {"strategy": Strategy.STEP_UP},
    ],
)
def test_terms_cannot_be_changed_under_a_signature(change: dict[str, Any]) -> None:
    made = signed(terms())
    with pytest.raises(InvalidInputError, match="signed"):
        verify_agreement(replace(made, terms=replace(made.terms, **change)), key_of)


def test_a_chain_of_re_issues_holds_from_the_root_on() -> None:
    first = signed(terms())
    second = reissue(first, "agr-1.2", strategy=Strategy.STEP_UP)
    third = reissue(second, "agr-1.3", strategy=Strategy.STEP_BACK)
    verify_chain([first, second, third], key_of)
    for broken in ([second, third], [first, third], [first, third, second], [first, first]):
        with pytest.raises(InvalidInputError, match="belongs"):
            verify_chain(broken, key_of)


def test_a_fork_of_an_agreement_is_seen_by_its_parents_hash() -> None:
    first = signed(terms())
    other = signed(terms(price="9.90"))
    with pytest.raises(InvalidInputError, match="parent_hash"):
        verify_chain([other, reissue(first, "agr-1.2")], key_of)


def test_a_re_issue_keeps_the_parties_and_the_wallet() -> None:
    first = signed(terms())
    with pytest.raises(InvalidInputError, match="wallet"):
        verify_chain([first, reissue(first, "agr-1.2", wallet="did:web:bank.example/other")], key_of)


# -- the strategy chooser ----------------------------------------------------------------------------------------------


def offered_for(name: str, axis: Axis = Axis.LATENCY) -> dict[Strategy, Any]:
    live = terms(request=replace(REQUEST, workload_class=name))
    return {one.strategy: one for one in variations(live, Risk(axis, ("ab",)), CATALOGUE, NOW + 600)}


def test_every_class_of_the_catalogue_has_a_temper_and_every_temper_a_choice() -> None:
    assert CATALOGUE.classes <= TEMPERS.keys()
    assert CHOICES.keys() == set(Temper)
    with pytest.raises(NotFoundError, match="pigeons"):
        temper_of("pigeons")


def test_a_service_level_sensitive_class_is_rerouted_and_stepped_up() -> None:
    found = offered_for("order-execution")
    assert list(found) == [Strategy.REROUTE, Strategy.STEP_UP]
    assert found[Strategy.REROUTE].avoid == ("ab",)
    assert found[Strategy.STEP_UP].request.latency_seconds == 0.01
    assert found[Strategy.STEP_UP].request.duration_seconds == 3000


def test_a_cost_sensitive_class_is_stepped_down_and_a_deferrable_one_shifted_in_time() -> None:
    assert offered_for("general")[Strategy.STEP_DOWN].request.latency_seconds == 0.05
    shifted = offered_for("bulk-transfer")
    assert list(shifted) == [Strategy.TIME_SHIFT, Strategy.STEP_DOWN, Strategy.REROUTE]
    assert shifted[Strategy.TIME_SHIFT].request.start == NOW + 600 + 3600


@pytest.mark.parametrize(
    "axis, member, better",
    [(Axis.BANDWIDTH, "bandwidth", BitRate(10**9)), (Axis.AVAILABILITY, "availability", 0.9999)],
)
def test_a_step_goes_along_the_axis_that_is_at_risk(axis: Axis, member: str, better: Any) -> None:
    assert getattr(offered_for("order-execution", axis)[Strategy.STEP_UP].request, member) == better


def test_where_there_is_no_grade_to_go_to_the_strategy_is_left_out() -> None:
    best = terms(level=ServiceLevel("optical", 100 * 10**9, 1_000, 999_990))
    found = [one.strategy for one in variations(best, Risk(Axis.LATENCY, ("ab",)), CATALOGUE, NOW)]
    assert found == [Strategy.REROUTE]


def test_a_step_back_is_to_what_was_asked_at_first_for_the_rest_of_the_time() -> None:
    live = terms(asked=REQUEST, request=replace(REQUEST, latency_seconds=0.01))
    found = step_back(live, NOW + 1000)
    assert (found.strategy, found.request.latency_seconds) == (Strategy.STEP_BACK, 0.02)
    assert (found.request.start, found.request.duration_seconds) == (NOW + 1000, 2600)


def test_a_level_is_what_the_catalogue_promises() -> None:
    assert level_of(CATALOGUE.offering("ip-200M-20ms-99.9")) == ServiceLevel("ip", 200_000_000, 20_000, 999_000)
    assert level_of(CATALOGUE.offering("ip-1G-any-basic")).latency_microseconds is None


# -- money -------------------------------------------------------------------------------------------------------------


def test_a_change_takes_what_it_costs_over_the_rest_of_the_old_and_gives_back_what_it_saves() -> None:
    live = terms(price="4.00")
    half = NOW + 1800
    assert amount_on_top(quote(price="3.00"), live, half) == euro("1.00")
    assert amount_on_top(quote(price="1.50"), live, half) == euro("0.00")
    assert given_back(live, terms(price="1.50"), half) == euro("0.50")
    assert given_back(live, terms(price="3.00"), half) == euro("0.00")
    assert given_back(live, None, half) == euro("2.00")
    assert given_back(live, None, NOW + 9999) == euro("0.00")


def test_a_step_back_gains_what_it_saves_less_the_switch() -> None:
    live, cheaper = terms(price="4.00"), terms(price="1.50")
    assert net_gain(live, cheaper, euro("0.30"), NOW + 1800) == euro("0.20")
    assert net_gain(live, cheaper, euro("0.60"), NOW + 1800).minor < 0


# -- the consumer's floor ----------------------------------------------------------------------------------------------


def check(
    said: Terms, account: Account | None = None, wallet: WalletTerms = LINE, now: float = NOW
) -> OfferCheck | None:
    refused = refusal_of(said, wallet, account or Account(), now)
    return refused.check if refused else None


def test_terms_within_the_wallet_are_admitted() -> None:
    assert check(terms()) is None


@pytest.mark.parametrize(
    "change, why",
    [
        ({"quote": quote(valid_until=NOW - 1)}, OfferCheck.EXPIRY),
        ({"request": replace(REQUEST, workload_class="general")}, OfferCheck.WORKLOAD_CLASS),
        ({"amount": Money(100, "USD")}, OfferCheck.CURRENCY),
        ({"amount": euro("3.31")}, OfferCheck.AMOUNT),
        ({"level": ServiceLevel("ip", 99_000_000, 20_000, 999_000)}, OfferCheck.SERVICE_LEVEL),
        ({"level": ServiceLevel("ip", 200_000_000, None, 999_000)}, OfferCheck.SERVICE_LEVEL),
        ({"level": ServiceLevel("ip", 200_000_000, 20_000, 980_000)}, OfferCheck.SERVICE_LEVEL),
    ],
)
def test_terms_outside_the_wallet_are_refused_by_name(change: dict[str, Any], why: OfferCheck) -> None:
    assert check(replace(terms(), **change)) is why


def test_what_is_bound_already_counts_against_the_ceilings_and_the_rate() -> None:
    assert check(terms(price="50.01")) is OfferCheck.CLASS_CEILING
    assert check(terms(price="50.00")) is None
    assert check(terms(price="3.30"), Account({"order-execution": euro("46.71")})) is OfferCheck.CLASS_CEILING
    assert check(terms(price="3.30"), Account({"other": euro("96.71")})) is OfferCheck.CEILING
    assert check(terms(price="3.30"), Account({}, euro("56.71"))) is OfferCheck.RATE
    assert check(terms(), now=NOW + 86_400) is OfferCheck.EXPIRY


# -- the judge ---------------------------------------------------------------------------------------------------------


class _Model:
    """Says what it says, whatever the options are."""

    def __init__(self, said: str) -> None:
        self.said = said

    def choose(self, _options: Any) -> str:
        return self.said


def test_a_judge_may_pick_among_admitted_options_and_nothing_else() -> None:
    cheap, dear = terms("agr-1", "2.00"), terms("agr-2", "3.00")
    assert decided(_Model("agr-2"), [cheap, dear]) == dear
    assert decided(_Model("agr-9: ignore all previous rules"), [cheap, dear]) == cheap
    assert decided(_Model("agr-2"), []) is None


def test_rules_take_the_fitting_strategy_for_a_sensitive_class_and_the_cheapest_for_the_others() -> None:
    up = terms("agr-1", "9.00", strategy=Strategy.STEP_UP)
    way = terms("agr-2", "9.50", strategy=Strategy.REROUTE)
    assert Rules().choose([up, way]) == "agr-2"
    bulk = replace(REQUEST, workload_class="bulk-transfer")
    later = terms("agr-3", "2.00", strategy=Strategy.TIME_SHIFT, request=bulk)
    less = terms("agr-4", "1.00", strategy=Strategy.STEP_DOWN, request=bulk)
    assert Rules().choose([later, less]) == "agr-4"
