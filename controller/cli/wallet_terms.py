"""Owns how a wallet's terms are said on the command line, for `issue` and `delegate` alike."""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.exits import UsageError

if TYPE_CHECKING:
    from controller.negotiation.wallet import ClassTerms, ServiceLevelFloor, WalletTerms

CeilingOption = Annotated[str, typer.Option("--ceiling", metavar="'AMOUNT CUR'", help="As '500.00 EUR'.")]
ClassOption = Annotated[
    list[str],
    typer.Option(
        "--class", metavar="NAME[=[CEILING][:MULTIPLIER]]", help="A workload class that it pays for. Repeatable."
    ),
]
ForOption = Annotated[str, typer.Option("--for", metavar="SPAN", help="How long from now, as 30d or 12h.")]
FloorBandwidthOption = Annotated[str, typer.Option(metavar="RATE", help="No service with less, as '10 Mbit/s'.")]
FloorLatencyOption = Annotated[str, typer.Option(metavar="SPAN", help="No service with more, as '50 ms'.")]
FloorAvailabilityOption = Annotated[str, typer.Option(metavar="SHARE", help="No service with less, as 0.999.")]
RateOption = Annotated[str, typer.Option("--rate", metavar="AMOUNT", help="No more newly taken within any hour.")]
DepthOption = Annotated[int, typer.Option("--depth", min=0, max=3, help="How often it may be delegated in series.")]
DelegateToOption = Annotated[
    list[str] | None, typer.Option("--delegate-to", metavar="DID", help="Only to these holders. Repeatable.")
]
OperatorOption = Annotated[
    list[str] | None, typer.Option("--operator", metavar="DID", help="Only to be spent here. Repeatable.")
]
_SPAN = re.compile(r"(\d{1,5})\s*([dhms])", re.ASCII)
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_CLASS = re.compile(r"([^=]+)(?:=([^:]*)(?::(.+))?)?")


@dataclass(frozen=True, slots=True)
class Said:
    """The options, as they were written."""

    ceiling: str
    classes: tuple[str, ...]
    lasts: str
    floor_bandwidth: str
    floor_latency: str
    floor_availability: str
    rate: str
    depth: int
    delegate_to: tuple[str, ...]
    operators: tuple[str, ...]

    def terms(self, now: int, parent: "WalletTerms | None" = None) -> "WalletTerms":
        """The terms from `now` on; what is not said is as in the parent, where there is one."""
        from controller.model.money import Money
        from controller.negotiation.wallet import DelegationRules, WalletTerms

        amount, _, currency = self.ceiling.strip().rpartition(" ")
        ceiling = Money.parse(amount.strip(), currency)
        named = [_class(each, currency) for each in self.classes]
        classes = dict(named)
        if len(classes) < len(named):
            raise UsageError("a class is named twice", remedy="give each --class once")
        ends = now + _span(self.lasts) if self.lasts else None
        own = WalletTerms(
            ceiling=ceiling,
            classes=classes or (parent.classes if parent else {}),
            valid_from=now if parent is None else parent.valid_from,
            valid_until=ends or (parent.valid_until if parent else now),
            floor=self._floor(),
            maximum_rate_per_hour=Money.parse(self.rate, currency) if self.rate else None,
            delegation=DelegationRules(self.depth, frozenset(self.delegate_to)),
            operators=frozenset(self.operators),
        )
        return own if parent is None else _as_in(parent, own)

    def _floor(self) -> "ServiceLevelFloor":
        from controller.model.units import BitRate, Duration
        from controller.negotiation.wallet import ServiceLevelFloor
        from controller.negotiation.wallet_codec import decimal_from_json

        return ServiceLevelFloor(
            BitRate.parse(self.floor_bandwidth) if self.floor_bandwidth else None,
            Duration.parse(self.floor_latency) if self.floor_latency else None,
            decimal_from_json(self.floor_availability, "--floor-availability") if self.floor_availability else None,
        )


def _as_in(parent: "WalletTerms", own: "WalletTerms") -> "WalletTerms":
    """What was not said, as in the parent; a class's ceiling and the rate not over the child's own."""
    floor = replace(
        own.floor,
        bandwidth=own.floor.bandwidth or parent.floor.bandwidth,
        latency=own.floor.latency or parent.floor.latency,
        availability=own.floor.availability or parent.floor.availability,
    )
    return replace(
        own,
        floor=floor,
        maximum_rate_per_hour=own.maximum_rate_per_hour or parent.maximum_rate_per_hour,
        operators=own.operators or parent.operators,
    )


def _class(written: str, currency: str) -> "tuple[str, ClassTerms]":
    from controller.model.money import Money
    from controller.negotiation.wallet import ClassTerms
    from controller.negotiation.wallet_codec import decimal_from_json

    match = _CLASS.fullmatch(written)
    if not match:
        raise UsageError(f"'{written}' is not a class", remedy="write NAME, NAME=CEILING or NAME=CEILING:MULTIPLIER")
    ceiling = Money.parse(match[2], currency) if match[2] else None
    return match[1], ClassTerms(ceiling, decimal_from_json(match[3] or "1", "multiplier"))


def _span(written: str) -> int:
    match = _SPAN.fullmatch(written.strip())
    if not match:
        raise UsageError(f"'{written}' is not a span of time", remedy="write it as 30d, 12h, 90m or 60s")
    return int(match[1]) * _SECONDS[match[2]]
