"""The overlay shows what paths are computed from: what was measured, of delays also what was given."""

from dataclasses import replace

import pytest

from controller.model.units import BitRate
from controller.runtime.topology_overlay import load_ratios, overlay
from controller.topology.expected_delay import late_links
from controller.topology.network import Network
from controller.topology.te_database import Measurement, TeDatabase
from tests.controller.topology_samples import drawn

NETWORK = TeDatabase(drawn(("lon", "par", 10), ("par", "fra", 2), gigabits=100))
SEEN, UNSEEN = (next(id_ for id_ in NETWORK.network.links if str(id_).startswith(end)) for end in ("lon:", "fra:"))
MEASURED = NETWORK.with_measurements({SEEN: Measurement(BitRate(25 * 10**9), 0.0123, 0.05)})


@pytest.mark.parametrize(
    "of, seen, unseen",
    [
        ("load", (0.25, "counters"), (None, "")),
        ("delay", (0.0123, "probes"), (0.002, "given")),
        ("loss", (0.05, "probes"), (None, "")),
    ],
)
def test_a_link_shows_what_was_last_measured_of_it(
    of: str, seen: tuple[float, str], unseen: tuple[float | None, str]
) -> None:
    links = {one["link"]: one for one in overlay(MEASURED, {}, of)["links"]}
    assert (links[str(SEEN)]["value"], links[str(SEEN)]["from"]) == seen
    assert (links[str(UNSEEN)]["value"], links[str(UNSEEN)]["from"]) == unseen


def test_only_links_whose_load_is_known_are_exported() -> None:
    assert list(load_ratios(MEASURED).values()) == [0.25]


def test_a_link_that_was_late_before_anybody_looked_is_late_beside_what_the_topology_gives() -> None:
    late = NETWORK.with_measurements({SEEN: Measurement(delay_seconds=0.025)})
    (found,) = late_links(late)
    assert str(found) == "lon-par takes 25 ms, 10 ms are expected of its length or the topology file"
    links = {one["link"]: one for one in overlay(late, {}, "delay")["links"]}
    assert links[str(SEEN)]["note"] == "late? 10 ms are expected of its length or the topology file"
    assert links[str(UNSEEN)]["note"] == ""
    assert list(late_links(MEASURED)) == [], "a length is an estimate: a quarter more is nothing"
    assert list(late_links(late.with_link_state([SEEN], is_up=False))) == []


def test_where_no_length_is_known_the_other_direction_is_compared_with_or_no_baseline_is_said_to_be_there() -> None:
    links = [replace(link, delay_seconds=0.0) for link in NETWORK.network.links.values()]
    unknown = TeDatabase(Network.of(NETWORK.network.nodes.values(), links))
    back = unknown.network.link(SEEN).reverse_id
    both = unknown.with_measurements({SEEN: Measurement(delay_seconds=0.025), back: Measurement(delay_seconds=0.01)})
    (found,) = late_links(both)
    assert (found.link.id, found.expected_seconds) == (SEEN, 0.01)
    assert "the other direction, as far as clocks agree" in str(found)
    alone = unknown.with_measurements({SEEN: Measurement(delay_seconds=0.025)})
    assert list(late_links(alone)) == []
    notes = {one["link"]: one["note"] for one in overlay(alone, {}, "delay")["links"]}
    assert notes[str(SEEN)] == "no baseline: neither a length nor the other direction is known"
    assert notes[str(back)] == "", "nothing is measured there"
