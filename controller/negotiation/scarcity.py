"""Owns the shadow price of each link on each axis: what one more unit of it would be worth to those who want it.

The dual gradient of Kelly, Maulloo and Tan (1998) and Low and Lapsley (1999): a price rises while the demand that is
expected, at the upper end of its forecast, is above the target share of the room, and falls while it is well below.
Between the two it rests, so that flows that answer prices have somewhere to come to rest. These prices are never
published: `bands` says what is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from controller.model.errors import InvalidInputError
from controller.negotiation.catalogue import Axis


@dataclass(frozen=True, slots=True)
class AxisTarget:
    """`share`: how much of a link's capacity is sold on this axis; `target` and `slack`: how full that should be."""

    share: float = 1.0
    target: float = 0.8
    slack: float = 0.1

    def __post_init__(self) -> None:
        """Refuse shares that are none."""
        if not (0 < self.share <= 1 and 0 < self.target <= 1 and 0 <= self.slack < self.target):
            raise InvalidInputError(
                f"a share of {self.share}, a target of {self.target} and a slack of {self.slack} do not go together",
                remedy="give shares between 0 and 1, and a slack below the target",
            )


@dataclass(frozen=True, slots=True)
class ScarcityPolicy:
    """How prices move: `gain` per step and unit of excess, never above `most`, so that they come down again in time."""

    targets: Mapping[Axis, AxisTarget]
    gain: float = 0.5
    most: float = 6.0

    def __post_init__(self) -> None:
        """Refuse steps that go nowhere, or out of sight."""
        if not (0 < self.gain <= 10 and isfinite(self.most) and self.most > 0):
            raise InvalidInputError(f"prices cannot move by {self.gain} up to {self.most}", remedy="give both above 0")
        if missing := [axis for axis in Axis if axis not in self.targets]:
            raise InvalidInputError(f"there is no target for {', '.join(missing)}", remedy="give one for each axis")


@dataclass(frozen=True, slots=True)
class ShadowPrices:
    """Per axis a price for each link, by position in the network's arcs; 0 where there is enough."""

    by_axis: Mapping[Axis, tuple[float, ...]]

    @classmethod
    def nothing(cls, links: int) -> "ShadowPrices":
        """Everything is plentiful."""
        return cls(dict.fromkeys(Axis, (0.0,) * links))


Loads = Mapping[Axis, Sequence[float]]
"""Per axis and link, in bit/s: the upper end of what is expected to be wanted."""


def stepped(
    prices: ShadowPrices, loads: Loads, capacities: Sequence[int], policy: ScarcityPolicy, names: Sequence[str] = ()
) -> ShadowPrices:
    """The prices after one step; a load that is no quantity is refused with the link's name."""
    check_loads(loads, len(capacities), names)
    return ShadowPrices(
        {
            axis: tuple(
                min(policy.most, max(0.0, price + policy.gain * _excess(load / capacity, policy.targets[axis])))
                for price, load, capacity in zip(prices.by_axis[axis], loads[axis], capacities, strict=True)
            )
            for axis in Axis
        }
    )


def _excess(used: float, target: AxisTarget) -> float:
    """How far the use of the room is above its target, or below the target less the slack; 0 between them."""
    filled = used / target.share
    return max(0.0, filled - target.target) + min(0.0, filled - (target.target - target.slack))


def check_loads(loads: Loads, links: int, names: Sequence[str] = ()) -> None:
    """Refuse what is not one load of 0 or more for each link on each axis."""
    for axis in Axis:
        values = loads.get(axis, ())
        if len(values) != links:
            raise InvalidInputError(f"there are {len(values)} {axis} loads for {links} links", remedy="give one each")
        for position, value in enumerate(values):
            if not (isfinite(value) and value >= 0):
                where = names[position] if names else f"number {position}"
                raise InvalidInputError(
                    f"link '{where}' has the {axis} load {value}", remedy="a load is a number of bit/s, 0 or more"
                )
