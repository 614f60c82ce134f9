"""Several want one scarce grade at once: those to whom it is worth most have it, pay for it, and can hold it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from controller.cli.main import main
from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.contention import Allotment, SealedBid, allot
from controller.negotiation.quote import QuoteCheck, QuoteRefusal, Seller, hold
from tests.controller.market_samples import CATALOGUE, NOW, REQUEST, asked, loads, seller, ticked

WHOLE_LINK = {"bandwidth": BitRate(10**10)}
BASE = CATALOGUE.offering("ip-10G-any-basic").price_per_hour


def bid(name: str, cents: int, **changes: object) -> SealedBid:
    request = replace(REQUEST, id=name, consumer=f"label-{name}", **{**WHOLE_LINK, **changes})  # type: ignore[arg-type]
    return SealedBid(request, Money(cents, "EUR"))


def allotted(operator: Seller, *bids: SealedBid) -> Allotment:
    return allot("batch-1", bids, operator.meshes[0], operator, NOW)


def test_two_of_three_have_a_path_each_and_pay_what_the_third_would_have_given() -> None:
    operator = seller()
    third = BASE.minor + 700
    found = allotted(operator, bid("x", BASE.minor + 5000), bid("y", third), bid("z", BASE.minor + 900))
    assert set(found.offers) == {"x", "z"}
    assert found.outbid == ("y",)
    assert {offer.quote.total.minor for offer in found.offers.values()} == {third}
    assert len({str(offer.path.path) for offer in found.offers.values()}) == 2
    for offer in found.offers.values():
        hold(offer, NOW)
    assert isinstance(asked(operator, **WHOLE_LINK), QuoteRefusal)


def test_who_cannot_wait_gets_the_quick_path_from_who_can() -> None:
    found = allotted(seller(), bid("calm", BASE.minor * 9), bid("hasty", BASE.minor * 2, latency_seconds=0.1))
    tight = allotted(seller(), bid("calm", BASE.minor * 9), bid("hasty", BASE.minor * 4, latency_seconds=0.02))
    assert set(found.offers) == {"calm"}  # no link sells a whole 10 Gbit/s with a latency
    assert found.refused["hasty"].check is QuoteCheck.WITHDRAWN
    assert set(tight.offers) == {"calm"}
    small = BitRate(10**9)
    together = allotted(
        seller(), bid("calm", BASE.minor * 9), bid("hasty", BASE.minor * 4, latency_seconds=0.02, bandwidth=small)
    )
    assert "".join(together.offers["calm"].path.path.nodes) == "acd"
    assert "".join(together.offers["hasty"].path.path.nodes) == "abd"


def test_without_contention_everybody_pays_what_the_bands_say() -> None:
    operator = seller()
    found = allotted(operator, bid("x", BASE.minor * 9))
    assert found.offers["x"].quote.total == BASE
    now = ticked(operator, loads(operator.meshes[0], "ab", "ac", share=0.9), 70)
    small = bid("x", BASE.minor * 9, start=now, bandwidth=BitRate(10**8))
    dear = allot("batch-1", [small], operator.meshes[0], operator, now)
    plain = asked(operator, now, bandwidth=BitRate(10**8))
    assert not isinstance(plain, QuoteRefusal)
    assert dear.offers["x"].quote.total == plain[0].quote.total


def test_a_bid_below_what_the_bands_say_gets_nothing() -> None:
    found = allotted(seller(), bid("x", BASE.minor - 1))
    assert found.offers == {}
    assert found.outbid == ("x",)


def test_what_cannot_be_served_is_refused_by_its_check_and_the_rest_still_allotted() -> None:
    found = allotted(
        seller(), bid("x", BASE.minor), bid("lost", 10**6, z="atlantis"), bid("odd", 5, workload_class="no")
    )
    assert set(found.offers) == {"x"}
    assert {name: refusal.check for name, refusal in found.refused.items()} == {
        "lost": QuoteCheck.PLACE,
        "odd": QuoteCheck.WORKLOAD_CLASS,
    }


def test_nobody_bids_twice() -> None:
    with pytest.raises(InvalidInputError, match="twice"):
        allotted(seller(), bid("x", 5), SealedBid(replace(bid("y", 5).request, consumer="label-x"), Money(5, "EUR")))


# -- by the command line -----------------------------------------------------------------------------------------------

BIDS = """
batch: evening
bids:
  - {bidder: x, worth: "500.00", from: a, to: d, bandwidth: 10 Gbit/s}
  - {bidder: y, worth: "300.00", from: a, to: d, bandwidth: 10 Gbit/s}
  - {bidder: z, worth: "400.00", from: a, to: d, bandwidth: 10 Gbit/s}
  - {bidder: lost, worth: "1.00", from: a, to: atlantis, bandwidth: 10 Gbit/s}
"""
TWO_WAYS = """
nodes: [{name: a}, {name: b}, {name: c}, {name: d}]
links:
  - {source: "a:1", target: "b:1", capacity: 10 Gbit/s, delay: 1 ms}
  - {source: "b:2", target: "d:1", capacity: 10 Gbit/s, delay: 1 ms}
  - {source: "a:2", target: "c:1", capacity: 10 Gbit/s, delay: 3 ms}
  - {source: "c:2", target: "d:2", capacity: 10 Gbit/s, delay: 3 ms}
"""


def allotting(directory: Path, bids: str, *more: str) -> int:
    (directory / "bids.yaml").write_text(bids)
    (directory / "network.yaml").write_text(TWO_WAYS)
    files = [str(directory / "bids.yaml"), "--topology", str(directory / "network.yaml")]
    return main(["market", "allot", *files, *more, "-o", "json"])


def test_an_operator_allots_bids_from_a_file_and_learns_who_pays_what(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert allotting(tmp_path, BIDS) == 0
    rows = {row["bidder"]: row for row in json.loads(capfd.readouterr().out)["bids"]}
    assert {name: (row["result"], row["pays"]) for name, row in rows.items()} == {
        "x": ("won", "300.00 EUR"),
        "y": ("outbid", ""),
        "z": ("won", "300.00 EUR"),
        "lost": ("refused", ""),
    }
    assert "atlantis" in rows["lost"]["why"]


@pytest.mark.parametrize(
    "old, new, said",
    [
        ('"500.00"', '"NaN"', "not an amount"),
        ('"500.00"', '"-5.00"', "not an amount"),
        ('"500.00"', "5", "bids.0.worth"),
        ('"500.00"', '"500000000.00"', "minor units"),
        ("bidder: y", "bidder: x", "twice"),
        ("bandwidth: 10", "ceiling: 5, bandwidth: 10", "ceiling"),
        ("to: d", "to: a", "same place"),
        ("batch: evening", "", "batch"),
        ("batch: evening", "batch: evening\nbatch: morning", "batch"),
    ],
)
def test_bids_that_are_none_are_refused_by_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], old: str, new: str, said: str
) -> None:
    assert allotting(tmp_path, BIDS.replace(old, new, 1)) != 0
    assert said in capfd.readouterr().err


def test_a_tier_that_is_none_is_refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert allotting(tmp_path, BIDS, "--tier", "gold") == 64
    assert "ip, optical" in capfd.readouterr().err
