"""Kill -9, and a full disk, at every record of the journal: the next start finishes or undoes what was begun.

The controller is a process of its own; the routers are in the test's process, where their truth can be looked at.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from lab.faults import FaultScript
from lab.network import LabNetwork
from lab.router.faults_point import Fault
from tests.e2e.doomed_controller import Doom, live
from tests.e2e.forked import Life, begin, listen
from tests.e2e.world import RPC_SECONDS, World, address, lab_network, until, write_configuration
from tests.patience import PATIENCE_SECONDS

KINDS = ("full", "confirmed10", "candidate", "running", "restconf")
DEVICES = tuple(sorted(f"a-{kind}" for kind in KINDS))
RECORDS = 1 + 5 + 1 + 2 + 3 + 3 + 1 + 1
"""planned, prepared, committing, tentative, applying, applied, confirming, committed"""


@dataclass(slots=True)
class Scene:
    """The routers, and the files of the controller."""

    lab: LabNetwork
    settings: Path
    faults: FaultScript

    async def live(self, doom: Doom) -> Life:
        """One process from its start to its end."""
        process, hears = self.begin(doom)
        return await asyncio.to_thread(listen, process, hears)

    def begin(self, doom: Doom):
        """Start a process."""
        return begin(live, self.settings, doom)

    async def check(self, label: str, before: dict[str, bytes]) -> str:
        """Start again: the verdict must be what the routers hold; returns it."""
        life = await self.live(Doom(DEVICES))
        assert life.exit_code == 0, life
        _, verdict, reason = life.said["history"][-1]
        world = World(self.lab, None, None, None, None, self.faults)  # type: ignore[arg-type]  # only the routers' side
        if verdict == "committed":
            held = world.descriptions(DEVICES)
            assert held == dict.fromkeys(DEVICES, label), f"COMMITTED, but the routers hold {held}"
        else:
            assert verdict == "aborted", (verdict, reason)
            changed = [name for name, running in world.running(DEVICES).items() if running != before[name]]
            assert not changed, f"ABORTED ({reason}), but {changed} are not at their base"
        await until(
            lambda: not world.left_behind(DEVICES), PATIENCE_SECONDS, lambda: f"left: {world.left_behind(DEVICES)}"
        )
        life = await self.live(Doom(DEVICES, next_label=f"after {label}"))
        assert life.said["next"] == ("committed", ""), life
        assert life.said["drift"] == [], life
        return verdict


@asynccontextmanager
async def scene(directory: Path, rpc_seconds: float = 30.0) -> AsyncIterator[Scene]:
    faults = FaultScript()
    async with lab_network("a", KINDS, faults) as lab:
        yield Scene(lab, write_configuration(directory, lab, rpc_seconds=rpc_seconds), faults)


def running(scene_: Scene) -> dict[str, bytes]:
    return {name: scene_.lab[name].store.serialised("running") for name in DEVICES}


@pytest.mark.parametrize("part", range(3))
async def test_killed_after_any_record_the_next_start_reaches_the_verdict_that_the_routers_hold(tmp_path, part):
    verdicts = {}
    async with scene(tmp_path) as here:
        await here.live(Doom(DEVICES))
        for record in range(1 + part, RECORDS + 1, 3):
            before, label = running(here), f"killed {record}"
            wanted = address(record * 2) if record % 2 else {}
            life = await here.live(Doom(DEVICES, label, wanted, kill_after=record))
            assert life.exit_code == -signal.SIGKILL, (record, life)
            verdicts[record] = await here.check(label, before)
    decided = {record: "committed" if record >= RECORDS - 1 else "aborted" for record in verdicts}
    assert verdicts == decided


@pytest.mark.parametrize("part", range(3))
async def test_a_disk_that_is_full_at_any_record_holds_the_transaction_up_and_spoils_nothing(tmp_path, part):
    async with scene(tmp_path) as here:
        await here.live(Doom(DEVICES))
        for record in range(1 + part, RECORDS + 1, 3):
            before, label = running(here), f"full {record}"
            life = await here.live(Doom(DEVICES, label, full_at=record, full_seconds=0.5))
            assert life.exit_code == 0, (record, life)
            if record == 1:  # nothing had been sent: whoever asked is told so
                assert "free space" in str(life.said["error"])
                assert running(here) == before
                continue
            assert life.said["verdict"] == ("committed", ""), (record, life)
            await here.check(label, before)


@pytest.mark.parametrize("record", [2, 7, 9, 12, RECORDS - 1, RECORDS])
async def test_a_disk_that_stays_full_until_the_end_of_the_process_is_made_good_by_the_next_start(tmp_path, record):
    async with scene(tmp_path) as here:
        await here.live(Doom(DEVICES))
        before, label = running(here), f"stays full {record}"
        process, hears = here.begin(Doom(DEVICES, label, full_at=record))
        assert await asyncio.to_thread(_hears, hears, "full")
        await asyncio.sleep(0.3)  # any instant will do: it waits for space until somebody ends it
        os.kill(process.pid, signal.SIGKILL)
        await asyncio.to_thread(listen, process, hears)
        verdict = await here.check(label, before)
        assert verdict == ("committed" if record == RECORDS else "aborted")


def _hears(hears: Connection, word: str) -> bool:
    while hears.poll(PATIENCE_SECONDS):
        if hears.recv()[0] == word:
            return True
    return False


@pytest.mark.parametrize(
    "rpc, nth, refuses", [("cancel-commit", 1, True), ("get-config", 3, False)], ids=["undoing", "going forward"]
)
async def test_killed_while_the_outcome_is_unknown_it_stays_unknown_and_heals_when_the_device_answers(
    tmp_path, rpc, nth, refuses
):
    async with scene(tmp_path, RPC_SECONDS) as here:
        await here.live(Doom(DEVICES))
        before, label = running(here), f"unknown {rpc}"
        here.faults.add("a-full", rpc, Fault.HANG, nth=nth, count=None)
        if refuses:
            here.faults.add("a-running", "edit-config", Fault.REJECT)
        life = await here.live(Doom(DEVICES, label, kill_after="unknown"))
        assert life.exit_code == -signal.SIGKILL, life
        for seconds in (0.7, 1.9):
            process, hears = here.begin(Doom(DEVICES))
            assert await asyncio.to_thread(_hears, hears, "open")
            await asyncio.sleep(seconds)  # not a wait for anything: an instant at which to kill it
            os.kill(process.pid, signal.SIGKILL)
            heard = await asyncio.to_thread(listen, process, hears)
            assert "history" not in heard.said, "a device that does not answer was taken for one that does"
        here.faults.clear()
        assert await here.check(label, before) == ("aborted" if refuses else "committed")
