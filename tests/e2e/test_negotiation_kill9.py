"""Kill -9 after any durable write of a negotiation: ledger and log agree, and no money moves twice or is forgotten.

Each process recovers what the one before left behind, is looked at from outside (the files, as an auditor reads them),
then lives a story of its own until it kills itself.
"""

import signal
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from controller.adapters.event_log_audit import verify
from controller.adapters.event_log_files import COLUMNS, open_readable
from controller.adapters.ledger_sqlite import entries_in, holdings_in, reader
from controller.cli.main import main
from controller.events.chain import Record
from controller.model.money import Money
from controller.negotiation.ledger import EntryKind
from controller.negotiation.roles import Tool
from tests.controller.negotiation_plane import ENVELOPE, START
from tests.e2e.doomed_negotiation import LEDGER, LOG, NETWORK, Doom, live
from tests.e2e.forked import Life, begin, listen

RESERVE, COMMIT, RELEASE, REFUND = EntryKind
STAGES = ["done", "done", "done", "failed", "done"]
WRITES = {"reserve": 3, "commit": 2, "release": 1, "refund": 3, "nonce": 4, "network": 4, "snapshot": 2}
"""How often each kind of write happens in a story, its commits of the log apart; of its nonces the first half."""
LEAST_COMMITS, MOST_COMMITS = 50, 130
"""Of the log in a story: appends that come at once may share one."""
EVERY = 10
"""So many commits of the log lie between two kills of one test; the others are slow."""
LATER = 400.0
"""In seconds: longer than any quote is good for."""
LIVE = Doom()


@dataclass
class Posted:
    """What the ledger's file has: minor units by kind and reservation (or key, of what came back); what is on hold."""

    entries: dict[tuple[EntryKind, str], int]
    on_hold: list[str]
    committed: int

    @classmethod
    def read(cls, file: Path) -> "Posted":
        with closing(reader(file)) as connection:
            entries = entries_in(connection, "", 0)
            holdings = holdings_in(connection, ENVELOPE)
        assert len({one.key for one in entries}) == len(entries)
        return cls(
            {
                (one.kind, one.key.partition("/")[0] if one.kind is not REFUND else one.key): one.minor
                for one in entries
            },
            [one.id for one in holdings if one.reserved],
            sum(one.committed for one in holdings),
        )

    def back(self, subject: str) -> int:
        """What was given back on behalf of a negotiation."""
        return sum(n for (kind, key), n in self.entries.items() if kind is REFUND and key.startswith(f"{subject}/"))


@dataclass
class Told:
    """What the log's file says of money: by reservation what was reserved; what was committed and released of it."""

    reserved: dict[str, int] = field(default_factory=dict)
    committed: set[str] = field(default_factory=set)
    released: set[str] = field(default_factory=set)
    back: dict[str, int] = field(default_factory=dict)
    """By negotiation: what the operator gave back."""
    debited: Counter[str] = field(default_factory=Counter)
    """By issue: what the consumer has booked for it."""

    @classmethod
    def read(cls, file: Path) -> "Told":
        told = cls()
        with closing(open_readable(file)) as connection:
            rows = connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY position").fetchall()
        for event in (Record(*row).event() for row in rows):
            told._note(event.type.removeprefix("negotiation."), event.data)
        return told

    def _note(self, tool: str, data: Any) -> None:
        said, result = data["arguments"], data["result"]
        if tool == Tool.RESERVE_MONEY and "refused" not in result:
            self.reserved[said["key"]] = _minor(result["reserved"])
        elif tool == Tool.COMMIT_MONEY:
            self.committed.add(said["key"])
            self.back[data["subject"]] = _minor(result["given_back"])
        elif tool == Tool.RELEASE_MONEY:
            self.released.add(said["key"])
        elif tool == Tool.DEBIT:
            self.debited[said["issue"]] += _minor(said["amount"])

    def moved(self) -> dict[tuple[EntryKind, str], int]:
        """What the ledger must have by this."""
        kinds = ((RESERVE, self.reserved), (COMMIT, self.committed), (RELEASE, self.released))
        return {(kind, key): self.reserved[key] for kind, keys in kinds for key in keys if self.reserved.get(key)}


def _minor(money: Any) -> int:
    return Money.from_json(money).minor


@dataclass
class Scene:
    """The files that outlive every process, and the time."""

    directory: Path
    time: float = float(START)

    def live(self, doom: Doom = LIVE, later: float = 1.0) -> Life:
        """One process from its start to its end; what it recovered and what it leaves behind are looked at."""
        self.time += later
        process, pipe = begin(live, self.directory, self.time, doom)

        def look(word: str, value: Any) -> None:
            if word == "time":
                self.time = value
            elif word == "settled":
                self.time = value["time"]
                self._refuse_unsettled(value)
                pipe.send("go on")

        life = listen(process, pipe, look)
        self._refuse_torn()
        if doom.kind and "end" not in life.said:
            assert life.exit_code == -signal.SIGKILL, (doom, life)
        else:
            assert (life.exit_code, life.said.get("stages")) == (0, STAGES), (doom, life)
        return life

    def _refuse_torn(self) -> None:
        """As a process leaves them, files are whole, and the log tells of no money that did not move."""
        report = verify(self.directory / LOG)
        assert report.is_intact, report
        assert main(["ledger", "verify", "--ledger", str(self.directory / LEDGER), "-o", "json"]) == 0
        told, posted = Told.read(self.directory / LOG), Posted.read(self.directory / LEDGER)
        assert told.moved().items() <= posted.entries.items()
        assert all(posted.back(subject) == minor for subject, minor in told.back.items())

    def _refuse_unsettled(self, views: Any) -> None:
        """Once recovered: nothing is open or on hold, all sides, the network and the books have the same."""
        assert not views["open"]
        enterprise, business, network = views["agreements"]
        assert enterprise == business == network
        running = {service: issues[-1] for is_over, service, issues in enterprise.values() if not is_over}
        services = {file.name: orjson.loads(file.read_bytes()) for file in (self.directory / NETWORK).glob("naas-*")}
        assert {name: one["terms"] for name, one in services.items()} == {
            name: issue["terms"] for name, issue in running.items()
        }
        told, posted = Told.read(self.directory / LOG), Posted.read(self.directory / LEDGER)
        assert not posted.on_hold
        issues = {issue["terms"]["id"] for _, _, each in enterprise.values() for issue in each}
        assert issues == told.committed
        assert posted.committed == sum(told.reserved[key] for key in issues) - sum(told.back.values())
        assert {key: told.debited[key] for key in issues} == {key: told.reserved[key] for key in issues}
        undone = {key for kind, key in posted.entries if kind is RESERVE} - issues
        assert undone == {key for kind, key in posted.entries if kind is RELEASE}


@pytest.mark.parametrize("kinds", [("reserve", "commit", "release", "refund"), ("nonce", "network", "snapshot")])
def test_killed_after_money_moved_or_anything_else_was_written_everything_comes_to_its_end(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    die(tmp_path, [Doom(kind, n) for kind in kinds for n in range(1, WRITES[kind] + 1)])


@pytest.mark.parametrize("first", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in range(2, EVERY + 1))])
def test_killed_after_any_commit_of_the_log_no_money_moves_twice_and_everything_comes_to_its_end(
    tmp_path: Path, first: int
) -> None:
    assert die(tmp_path, [Doom("log", n) for n in range(first, MOST_COMMITS, EVERY)]) > LEAST_COMMITS / EVERY


def die(directory: Path, dooms: list[Doom]) -> int:
    """One life after another over the same files, now and then so late that quotes and offers have run out.

    Returns how many were killed: commits of the log may be too few for the last ones.
    """
    scene = Scene(directory)
    lives = [scene.live(doom, later=LATER if number % 3 == 2 else 1.0) for number, doom in enumerate(dooms)]
    assert all(life.exit_code == -signal.SIGKILL for life, doom in zip(lives, dooms, strict=True) if doom.kind != "log")
    scene.live()
    return sum(life.exit_code == -signal.SIGKILL for life in lives)


def test_killed_again_and_again_while_it_recovers_it_comes_to_the_same_end(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    assert scene.live(Doom("reserve", 2)).exit_code == -signal.SIGKILL
    for early in (Doom("log", 2, is_early=True), Doom("commit", 1, is_early=True), Doom("log", 1, is_early=True)):
        life = scene.live(early)
        assert (life.exit_code, life.said) == (-signal.SIGKILL, {}), early
    scene.live()
