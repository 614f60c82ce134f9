"""The long history of the restart bench is what the real code would have stored."""

import json
import re

from bench.campaigns import Campaigns
from bench.synthetic import Fleet, small_service
from controller.runtime.world import World


async def fleet_with_a_service() -> Fleet:
    fleet = await Fleet(4).open()
    await fleet.commit(fleet.planner.services(small_service(1, fleet.cities), "a service"))
    return fleet


def stored(fleet: Fleet) -> str:
    """Every event but for its time, and for checksums, which nobody folds."""
    events = [[event.stream, event.version, event.type, event.cause, event.data] for event in fleet.log.read()]
    return re.sub(r'"checksum": "[0-9a-f]{64}"', "", json.dumps(events))


async def test_a_campaign_made_of_another_is_what_committing_it_would_have_stored() -> None:
    quick, real = await fleet_with_a_service(), await fleet_with_a_service()
    template = await Campaigns(quick).open()
    for _ in range(2):
        await template.append()
    for done in (0, 2):
        await Campaigns(real, done).open()
    assert stored(quick) == stored(real)
    replayed = World()
    replayed.apply_all(list(quick.log.read()))
    assert replayed.network.to_parts() == quick.world.network.to_parts()
