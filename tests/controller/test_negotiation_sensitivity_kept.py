"""What buyers of a running plane answer to prices is recorded under pseudonyms, and told of crowds only."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from controller.adapters.label_key import label_key
from controller.model.errors import InvalidInputError
from controller.negotiation.sensitivity import Audience, DisclosurePolicy, Point, PriceSensitivity, operational_label
from controller.negotiation.sensitivity_keeping import SensitivityKeeper
from controller.northbound.negotiation_views import sensitivity_view
from tests.controller.market_samples import CATALOGUE
from tests.controller.negotiation_plane import TERMS, Plane, held
from tests.controller.negotiation_samples import CONSUMER, euro
from tests.controller.test_negotiation_plane import negotiated

KEY = bytes(range(32))
LABEL = operational_label(CONSUMER, KEY)


def kept(plane: Plane) -> SensitivityKeeper:
    business = plane.negotiations.business
    assert business is not None
    keeper = SensitivityKeeper(business.house.desk, CATALOGUE, KEY)
    business.house.followers = (keeper,)
    return keeper


def points(keeper: SensitivityKeeper) -> tuple[Point, ...]:
    return keeper.record.own(LABEL, LABEL)


async def test_a_price_that_is_taken_is_one_point_without_a_name() -> None:
    plane = Plane()
    keeper = kept(plane)
    done = await negotiated(plane)
    (point,) = points(keeper)
    assert point.is_accepted
    assert (point.offering, point.workload_class) == (done.terms.quote.offering, done.terms.request.workload_class)
    assert CONSUMER not in repr(keeper.record)


async def test_prices_that_are_not_taken_are_points_too_each_round_of_them() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("0.01"))))
    keeper = kept(plane)
    await negotiated(plane)
    rounds = [event for event in plane.records("offer") if event.data["arguments"]["terms"]]
    assert rounds
    assert len(points(keeper)) == sum(len(event.data["arguments"]["terms"]) for event in rounds)
    assert not any(point.is_accepted for point in points(keeper))


async def test_a_restart_makes_the_same_record() -> None:
    plane = Plane()
    before = kept(plane)
    await negotiated(plane)
    after = replace(plane)
    keeper = kept(after)
    after.negotiations.load()
    assert points(keeper) == points(before) != ()


async def test_an_operator_is_told_nothing_of_one_asker_and_of_a_crowd_no_names() -> None:
    plane = Plane()
    keeper = kept(plane)
    done = await negotiated(plane)
    later = plane.clock.time + 7200.0
    assert sensitivity_view(keeper.record, later)["cells"] == []
    crowd = PriceSensitivity(DisclosurePolicy(least_labels=2, count_step=1))
    for name in (LABEL, operational_label("somebody", KEY)):
        crowd.answered(done.terms.quote, CATALOGUE, name, "general", is_accepted=True, now=plane.clock.time)
    (cell,) = sensitivity_view(crowd, later)["cells"]
    assert (cell["asked"], cell["accepted"], cell["markup"]) == (2, 2, 1.0)
    assert "label" not in repr(cell)
    assert len(crowd.demand(Audience.PRICING, later)) == 1


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "label.key"
    key = label_key(file)
    assert label_key(file) == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert label_key(tmp_path / "other.key") != key
    file.chmod(0o644)
    with pytest.raises(InvalidInputError, match="others can read"):
        label_key(file)
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(InvalidInputError, match="5 octets"):
        label_key(file)
