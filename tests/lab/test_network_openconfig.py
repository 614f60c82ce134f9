"""A router that speaks OpenConfig stands in the same network as the others."""

import os
from pathlib import Path

import pytest

from lab.network import LabNetwork, NetworkOptions
from lab.personalities import personality
from lab.topology_file import load_topology

DEMO = Path(__file__).parents[2] / "config/lab/demo.yaml"


def yang_path() -> list[Path]:
    given = [Path(item) for item in os.environ.get("ACCORD_TEST_YANG_PATH", "").split(":") if item]
    if not any(True for root in given for _ in root.rglob("openconfig-network-instance*.yang")):
        pytest.skip("ACCORD_TEST_YANG_PATH names no folder with OpenConfig modules")
    return given


async def test_an_openconfig_router_is_a_neighbour_of_the_others() -> None:
    options = NetworkOptions(modules_for={"pe-paris": personality("openconfig", yang_path())})
    async with LabNetwork(load_topology(DEMO), options) as network:
        running = network["pe-paris"].store.serialised("running")
        assert b"http://openconfig.net/yang/interfaces" in running
        assert {a.neighbour for a in network.plane.adjacencies("pe-paris")} == {"p-brussels", "p-lyon"}
        assert "pe-paris" in {a.neighbour for a in network.plane.adjacencies("p-lyon")}
        assert [router.node.name for router in network.running_routers() if router.openconfig] == ["pe-paris"]


@pytest.mark.parametrize("name,message", [("junos", "there is no personality junos"), ("openconfig", "no openconfig")])
def test_a_personality_that_is_not_there_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        personality(name, [tmp_path])
