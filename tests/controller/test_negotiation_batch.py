"""Batches: the best allocation there is, prices that leave nobody a reason to lie, and ties that are drawn."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.batch import (
    MOST_BIDS,
    Bundle,
    BundleBid,
    BundleResult,
    UnitBid,
    best_bundles,
    uniform_price,
)


def euros(cents: int) -> Money:
    return Money(cents, "EUR")


# -- units that are all alike ------------------------------------------------------------------------------------------

_WORTHS = st.lists(st.integers(0, 50), min_size=1, max_size=8)


def units_of(worths: list[int]) -> list[UnitBid]:
    return [UnitBid(f"b{number}", euros(worth)) for number, worth in enumerate(worths)]


@given(_WORTHS, st.integers(0, 5), st.integers(0, 20))
def test_the_highest_bids_win_and_pay_the_highest_that_lost(worths: list[int], units: int, reserve: int) -> None:
    result = uniform_price("batch", units_of(worths), units, euros(reserve))
    standing = sorted((worth for worth in worths if worth >= reserve), reverse=True)
    won = sorted((worths[int(name[1:])] for name in result.winners), reverse=True)
    assert won == standing[:units]
    assert result.price == euros(standing[units] if len(standing) > units else reserve)


@given(_WORTHS, st.integers(1, 5), st.integers(0, 20), st.integers(0, 60), st.data())
def test_a_bidder_for_one_unit_never_gains_by_another_bid_than_its_worth(
    worths: list[int], units: int, reserve: int, lie: int, data: st.DataObject
) -> None:
    liar = data.draw(st.integers(0, len(worths) - 1))
    honest = units_of(worths)
    lying = [*honest[:liar], UnitBid(f"b{liar}", euros(lie)), *honest[liar + 1 :]]

    def gained(bids: list[UnitBid]) -> int:
        result = uniform_price("batch", bids, units, euros(reserve))
        return worths[liar] - result.price.minor if f"b{liar}" in result.winners else 0

    assert gained(lying) <= gained(honest)


def test_ties_are_drawn_and_drawn_alike_whatever_the_order() -> None:
    bids = units_of([7] * 6)
    results = {uniform_price(batch, order, 2, euros(0)).winners for batch in "abcdefgh" for order in (bids, bids[::-1])}
    once = {batch: uniform_price(batch, bids, 2, euros(0)) for batch in "abcdefgh"}
    assert {uniform_price(batch, bids[::-1], 2, euros(0)) for batch in once} == set(once.values())
    assert len(results) > 1


# -- bundles -----------------------------------------------------------------------------------------------------------

_SUPPLY = {"ab": 3, "bd": 2, "cd": 2}
_BUNDLES = st.builds(
    lambda takes, worth, reserve: Bundle(takes, euros(worth), euros(reserve)),
    st.dictionaries(st.sampled_from(sorted(_SUPPLY)), st.integers(1, 3), min_size=1, max_size=3),
    st.integers(0, 30),
    st.integers(0, 8),
)
_BIDS = st.lists(st.lists(_BUNDLES, min_size=1, max_size=3), min_size=1, max_size=5)


def bids_of(bundles: list[list[Bundle]]) -> list[BundleBid]:
    return [BundleBid(f"b{number}", tuple(each)) for number, each in enumerate(bundles)]


def fits(chosen: list[Bundle], supply: dict[str, int]) -> bool:
    return all(sum(bundle.takes.get(name, 0) for bundle in chosen) <= most for name, most in supply.items())


def best_by_trying_all(bids: list[BundleBid], supply: dict[str, int]) -> int:
    best = 0
    for picks in product(*([None, *each.bundles] for each in bids)):
        chosen = [pick for pick in picks if pick is not None]
        if fits(chosen, supply):
            best = max(best, sum(bundle.worth.minor - bundle.reserve.minor for bundle in chosen))
    return best


def gain_of(result: BundleResult, bids: list[BundleBid]) -> int:
    by_name = {bid.bidder: bid for bid in bids}
    won = [by_name[name].bundles[number] for name, number in result.won.items()]
    return sum(bundle.worth.minor - bundle.reserve.minor for bundle in won)


@settings(max_examples=120)
@given(_BIDS)
def test_bundles_are_allocated_as_well_as_by_trying_everything(bundles: list[list[Bundle]]) -> None:
    bids = bids_of(bundles)
    result = best_bundles("batch", bids, _SUPPLY, "EUR")
    by_name = {bid.bidder: bid for bid in bids}
    assert fits([by_name[name].bundles[number] for name, number in result.won.items()], _SUPPLY)
    assert gain_of(result, bids) == best_by_trying_all(bids, _SUPPLY)


@settings(max_examples=120)
@given(_BIDS)
def test_a_winner_pays_its_reserve_and_what_the_others_lose(bundles: list[list[Bundle]]) -> None:
    bids = bids_of(bundles)
    result = best_bundles("batch", bids, _SUPPLY, "EUR")
    total = best_by_trying_all(bids, _SUPPLY)
    for bid in bids:
        if bid.bidder not in result.won:
            assert bid.bidder not in result.pays
            continue
        bundle = bid.bundles[result.won[bid.bidder]]
        alone = best_by_trying_all([other for other in bids if other is not bid], _SUPPLY)
        lost = alone - (total - (bundle.worth.minor - bundle.reserve.minor))
        assert result.pays[bid.bidder] == euros(bundle.reserve.minor + lost)
        assert bundle.reserve <= result.pays[bid.bidder] <= bundle.worth


@settings(max_examples=120)
@given(_BIDS, st.lists(st.integers(0, 40), min_size=3, max_size=3), st.data())
def test_a_bidder_for_bundles_never_gains_by_other_bids_than_their_worths(
    bundles: list[list[Bundle]], lies: list[int], data: st.DataObject
) -> None:
    honest = bids_of(bundles)
    liar = data.draw(st.integers(0, len(honest) - 1))
    true = honest[liar].bundles
    lying = list(honest)
    told = tuple(replace(bundle, worth=euros(lie)) for bundle, lie in zip(true, lies, strict=False))
    lying[liar] = BundleBid(f"b{liar}", told)

    def gained(bids: list[BundleBid]) -> int:
        result = best_bundles("batch", bids, _SUPPLY, "EUR")
        name = f"b{liar}"
        return true[result.won[name]].worth.minor - result.pays[name].minor if name in result.won else 0

    assert gained(lying) <= gained(honest)


@settings(max_examples=60)
@given(_BIDS, st.randoms(use_true_random=False))
def test_the_order_of_bids_does_not_matter(bundles: list[list[Bundle]], shuffle: object) -> None:
    bids = bids_of(bundles)
    again = list(bids)
    shuffle.shuffle(again)  # type: ignore[attr-defined]
    assert best_bundles("batch", again, _SUPPLY, "EUR") == best_bundles("batch", bids, _SUPPLY, "EUR")


def test_large_rates_and_worths_are_allocated_exactly() -> None:
    """One more cent of worth decides, and one bit/s too many does not fit."""
    rate, worth = 10**11, 10**9 - 1
    bids = [
        BundleBid("one", (Bundle({"ab": rate}, euros(worth), euros(0)),)),
        BundleBid("two", (Bundle({"ab": rate}, euros(worth + 1), euros(0)),)),
    ]
    assert best_bundles("batch", bids, {"ab": 2 * rate - 1}, "EUR").won == {"two": 0}
    assert best_bundles("batch", bids, {"ab": 2 * rate - 1}, "EUR").pays == {"two": euros(worth)}
    assert set(best_bundles("batch", bids, {"ab": 2 * rate}, "EUR").won) == {"one", "two"}


def test_a_full_batch_for_one_grade_is_allocated() -> None:
    """Everybody wants as much, over one of three paths."""
    supply = {f"link-{number}": 5 for number in range(12)}
    bids = [
        BundleBid(
            f"b{bidder:02}",
            tuple(
                Bundle(
                    {f"link-{(bidder * 5 + way * 3 + hop) % 12}": 1 for hop in range(3)},
                    euros(500 + bidder * 37 % 101),
                    euros(100),
                )
                for way in range(3)
            ),
        )
        for bidder in range(MOST_BIDS)
    ]
    result = best_bundles("batch", bids, supply, "EUR")
    taken = [bids[int(name[1:])].bundles[number] for name, number in result.won.items()]
    assert fits(taken, supply)
    assert 0 < len(taken) < MOST_BIDS
    assert all(result.pays[name] <= bids[int(name[1:])].bundles[number].worth for name, number in result.won.items())


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bids, units, complaint",
    [
        ([UnitBid("b", euros(-1))], 1, "'b' bids -0.01"),
        ([UnitBid("b", euros(10**9 + 1))], 1, "'b' bids"),
        ([UnitBid("b", Money(5, "USD"))], 1, "0.05 USD"),
        ([UnitBid("b", euros(5)), UnitBid("b", euros(6))], 1, "'b' bids twice"),
        ([], -1, "-1 units"),
        ([], True, "True units"),
        ([UnitBid(f"b{number}", euros(1)) for number in range(MOST_BIDS + 1)], 1, "33 bids"),
    ],
)
def test_a_wrong_batch_of_units_is_refused_by_name(bids: list[UnitBid], units: int, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        uniform_price("batch", bids, units, euros(0))


@pytest.mark.parametrize(
    "bundle, complaint",
    [
        (Bundle({"moon": 1}, euros(1), euros(0)), "1 of 'moon'"),
        (Bundle({"ab": 0}, euros(1), euros(0)), "0 of 'ab'"),
        (Bundle({"ab": -3}, euros(1), euros(0)), "-3 of 'ab'"),
        (Bundle({"ab": 1}, euros(-1), euros(0)), "-0.01"),
        (Bundle({"ab": 1}, euros(1), euros(-1)), "-0.01"),
        (Bundle({"ab": 1}, Money(1, "USD"), euros(0)), "USD"),
        (Bundle({"ab": 1}, euros(1), Money(1, "USD")), "USD"),
    ],
)
def test_a_wrong_bundle_is_refused_by_name(bundle: Bundle, complaint: str) -> None:
    with pytest.raises(InvalidInputError, match=complaint):
        best_bundles("batch", [BundleBid("b", (bundle,))], _SUPPLY, "EUR")
