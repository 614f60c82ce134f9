"""What may be done when something fails, as it is configured by service, customer or priority."""

from pathlib import Path

import pytest

from controller.adapters.settings_loader import load_settings
from controller.model.errors import InvalidInputError
from controller.recovery.fallback import FallbackPolicies
from controller.recovery.situation import FALLBACK, RemedyKind
from controller.runtime.recovery_situation import Situations
from tests.controller.assurance_world import AssuredWorld
from tests.controller.mapping_samples import two_sites

REROUTE, DEGRADE, PROTECT = (RemedyKind.REROUTE,), (RemedyKind.DEGRADE,), (RemedyKind.PROTECT,)
SAID = FallbackPolicies.of({"acme-1": "degrade", "customer:Beta": "reroute", "priority:7-9": "degrade", "*": "protect"})


@pytest.mark.parametrize(
    "service, customer, priority, own, allowed",
    [
        ("acme-1", "acme", 1, None, DEGRADE),
        ("acme-1", "acme", 1, REROUTE, DEGRADE),
        ("beta-1", "beta", 9, None, REROUTE),
        ("beta-1", "beta", 9, PROTECT, PROTECT),
        ("gamma-1", "gamma", 8, None, DEGRADE),
        ("gamma-1", "gamma", 6, None, PROTECT),
    ],
    ids=["service", "service-over-intent", "customer", "intent-over-customer", "priority", "all"],
)
def test_what_is_said_more_closely_counts(service, customer, priority, own, allowed):
    assert SAID.policy(service, customer, priority, own) == allowed


def test_where_nothing_is_said_everything_is_allowed():
    assert FallbackPolicies().policy("acme-1", "acme", 5, None) == FALLBACK


@pytest.mark.parametrize(
    "said, named",
    [
        ({"acme-1": "reroute, pray"}, "'pray' is no way to recover"),
        ({"priority:12": "reroute"}, "'priority:12' names no priority"),
    ],
)
def test_what_cannot_be_meant_is_refused_when_settings_are_read(tmp_path: Path, said, named):
    with pytest.raises(InvalidInputError, match=named):
        FallbackPolicies.of(said)
    file = tmp_path / "accord.yaml"
    file.write_text(f"recovery: {{fallback_policies: {said}}}\n".replace("'", '"'))
    with pytest.raises(InvalidInputError, match=named):
        load_settings(file)


async def test_a_service_is_promised_what_is_configured_for_it_or_its_customer():
    world = AssuredWorld()
    await world.serve(two_sites())
    situations = Situations(world.world, None)  # type: ignore[arg-type]
    assert situations.promise("acme").fallback == FALLBACK
    situations.policies = FallbackPolicies.of({"acme": "degrade"})
    assert situations.promise("acme").fallback == DEGRADE
    customer = world.world.services.services["acme"]["customer-name"]
    situations.policies = FallbackPolicies.of({f"customer:{customer}": "protect", "*": "reroute"})
    assert situations.promise("acme").fallback == PROTECT
    assert situations.promise("nobody").fallback == REROUTE


def test_a_policy_of_the_file_is_shown_with_where_it_comes_from(tmp_path: Path):
    file = tmp_path / "accord.yaml"
    file.write_text("recovery: {fallback_policies: {acme-1: reroute}}\n")
    (shown,) = [one for one in load_settings(file).origins() if one.key.startswith("recovery.fallback_policies")]
    assert "acme-1" in shown.key + shown.value
    assert shown.source == f"file {file}"
