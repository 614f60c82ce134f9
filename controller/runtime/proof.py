"""Owns asking the twin about plans: what every device would hold, what is promised, and the topology as it is now.

The present network's model is kept and taken along with what changes. The first question after a start reads every
device that is known, a few at a time beside everything else.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from controller.datastore.config_tree import ConfigTree
from controller.model.errors import NotFoundError, TwinRefusedError
from controller.model.identifiers import DeviceName
from controller.runtime.promises import Promises
from controller.runtime.topology_discovery import TopologyView
from controller.runtime.world import World
from controller.topology.network import Network
from controller.topology.te_database import TeDatabase
from controller.transaction.plan import Plan
from controller.twin.configuration import DeviceForwarding
from controller.twin.entry import State
from controller.twin.model import Model
from controller.twin.proving import prove
from controller.twin.reading import read_device, reread
from controller.twin.verdict import Verdict

_BREATH_SECONDS = 0.02
"""Longest time that reading devices holds up everything else."""


@dataclass(frozen=True, slots=True)
class _Taken:
    tree: ConfigTree
    revision: int


@dataclass(slots=True)
class Proof:
    """The twin at work for the daemon."""

    world: World
    topology: TopologyView
    observe: Callable[[str, float], None] = lambda *_: None
    """Called with `prove` and the seconds it took."""
    late: Callable[[], frozenset[str]] = frozenset
    """What may be later than was promised for now (`VPN acme`): its fallback policy allows a remedy that says so."""
    promises: Promises = field(init=False)
    _model: Model = field(default_factory=lambda: Model({}))
    _taken: dict[DeviceName, _Taken] = field(default_factory=dict)
    _database: TeDatabase | None = None
    _network: Network | None = None

    def __post_init__(self) -> None:
        """Promises come from the same world."""
        self.promises = Promises(self.world)

    async def require(self, plan: Plan) -> Verdict:
        """Prove a plan before it is committed; `TwinRefusedError` shows the packet that forbids it.

        A plan that is out of date is let pass: the transaction says so, and that is what has to be said.
        """
        verdict = await self.verdict(plan, failures=False)
        if verdict.is_proved or self._is_stale(plan):
            return verdict
        raise TwinRefusedError(
            "\n".join(("the twin refuses this plan:", *map(str, verdict.refusals[:3]))),
            remedy=f"look at it with: accord diff {plan.id}, and plan something else",
            path=plan.id,
        )

    def _is_stale(self, plan: Plan) -> bool:
        self.world.reservations.refuse_stale(plan)
        known = self.world.network
        return any(known.device(each.device).config.within(each.scope) != each.base for each in plan.devices)

    async def verdict(self, plan: Plan, *, failures: bool = True) -> Verdict:
        """What a plan would do to the network's packets; with `failures`, what each single failure would do then."""
        await self.warm()
        started = time.perf_counter()
        before, after = self.states(plan)
        found = prove(before, after, failures=failures)
        self.observe("prove", time.perf_counter() - started)
        return found.excusing(self.late())

    def states(self, plan: Plan) -> tuple[State, State]:
        """The network before and after a plan."""
        now = self.now()
        changed = [
            reread(self._known(device.device), self._taken[device.device].tree, (), device.edit)
            for device in plan.changed
            if device.device in self._taken
        ]
        return now, State(now.model.changed(changed), self.promises.after(plan))

    def now(self) -> State:
        """The network as it is. What was made of an earlier answer must not be used any more."""
        for name in self._behind():
            self._take(name)
        gone = self._taken.keys() - set(self.world.network)
        for name in gone:
            del self._taken[name]
            self._model.advance([DeviceForwarding(name)])
        self._model.on(self._current_network())
        return State(self._model, self.promises.current())

    @property
    def devices(self) -> tuple[DeviceForwarding, ...]:
        """What each device does, as it was read last; the same object as long as nothing of it has changed."""
        return tuple(self._model.devices.values())

    async def warm(self) -> None:
        """Read what has changed since the last time, a few devices at a time."""
        started = time.perf_counter()
        for name in self._behind():
            if name in self.world.network:
                self._take(name)
            if time.perf_counter() - started > _BREATH_SECONDS:
                await asyncio.sleep(0)
                started = time.perf_counter()

    def _behind(self) -> list[DeviceName]:
        """Devices that were read or changed since they were taken."""
        found = []
        for name in self.world.network:
            taken = self._taken.get(name)
            tree = self.world.network.device(name).config if taken else None
            if taken is None or taken.tree is not tree or taken.revision != taken.tree.revision:
                found.append(name)
        return found

    def _take(self, name: DeviceName) -> None:
        tree = self.world.network.device(name).config
        taken = self._taken.get(name)
        touched = tree.touched_since(taken.revision) if taken and taken.tree is tree else None
        device = read_device(name, tree) if touched is None else reread(self._known(name), tree, touched, ())
        self._taken[name] = _Taken(tree, tree.revision)
        self._model.advance([device])

    def _known(self, name: DeviceName) -> DeviceForwarding:
        return self._model.devices[name]

    def _current_network(self) -> Network | None:
        """The topology with its links as they are; None as long as none is known."""
        try:
            database = self.topology.database
        except NotFoundError:
            return None
        if not database.network.links:
            return None
        known = self._database
        if known is None or (database.network, database.measured, database.link_states) != (
            known.network,
            known.measured,
            known.link_states,
        ):
            self._network = _as_it_is(database)
        self._database = database
        return self._network


def _as_it_is(database: TeDatabase) -> Network:
    links = [
        replace(link, is_up=database.is_up(link.id), delay_seconds=database.delay_seconds(link.id))
        for link in database.network.links.values()
    ]
    return Network.of(database.network.nodes.values(), links)
