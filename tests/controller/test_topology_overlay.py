"""The overlay shows what paths are computed from: what was measured, of delays also what was given."""

import pytest

from controller.model.units import BitRate
from controller.runtime.topology_overlay import load_ratios, overlay
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
