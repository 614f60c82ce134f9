"""The twin is judged by the lab: what it says becomes of packets is what becomes of them there."""

import pytest

from bench.twin_judged import DELAY_ERROR_PERCENT, LOSS_ERROR_POINTS, case, compare, judge
from bench.twin_judged_network import JudgedNetwork, judged_network


@pytest.fixture(scope="module")
def network() -> JudgedNetwork:
    return judged_network()


@pytest.mark.parametrize("batch", range(5))
def test_verdicts_on_random_changes_and_failures_are_what_packets_do(network: JudgedNetwork, batch: int) -> None:
    for seed in range(10 * batch, 10 * batch + 10):
        judgement = judge(network, case(network, seed))
        assert len(judgement.lab) > 500, "packets were followed"
        assert any(judgement.lab.values()), "some arrive"
        assert None in judgement.lab.values(), "some do not"
        assert not judgement.differing, judgement.differing[:3]


@pytest.mark.slow
def test_two_hundred_random_changes_and_failures_are_judged_alike(network: JudgedNetwork) -> None:
    for seed in range(200):
        assert not judge(network, case(network, seed)).differing


@pytest.mark.parametrize("overload", [0.6, 1.2])
def test_forecasts_of_delay_and_loss_are_within_the_stated_error(network: JudgedNetwork, overload: float) -> None:
    found = compare(network, overload, seed=7)
    assert len(found) >= 30
    assert any(each.loss_ratio > 0.01 for each in found), "there is loss to forecast"
    assert max(each.delay_error for each in found) <= DELAY_ERROR_PERCENT
    assert max(each.loss_error for each in found) <= LOSS_ERROR_POINTS
