"""Owns reading what is sold and how scarcity moves its price: `services.yaml` and `scarcity.yaml` of one directory.

A service's base price is the price of its bandwidth grade times the factors of its other grades and of its tier.
"""

import re
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.yaml_files import read_mapping
from controller.model.errors import AccordError, InvalidInputError, NotFoundError
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation.bands import BandPolicy, Threshold
from controller.negotiation.catalogue import Axis, Catalogue, Grade, Offering, Tier
from controller.negotiation.pricing import MarketPolicy, QuotePolicy, Tariff
from controller.negotiation.scarcity import AxisTarget, ScarcityPolicy

_DECIMAL = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?", re.ASCII)


def _decimal(text: str) -> str:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("write a decimal text such as '1.5'")
    return text


_Decimal = Annotated[str, AfterValidator(_decimal)]
_Name = Annotated[str, Field(pattern=r"^[\w.\-]{1,40}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class _Bandwidth(_Strict):
    name: _Name
    rate: str
    price: str


class _Latency(_Strict):
    name: _Name
    at_most: str | None = None
    factor: _Decimal


class _Availability(_Strict):
    name: _Name
    at_least: _Decimal
    factor: _Decimal


class _Tier(_Strict):
    factor: _Decimal
    bandwidth: tuple[_Name, ...]
    latency: tuple[_Name, ...]
    availability: tuple[_Name, ...]


class _Services(_Strict):
    currency: str
    classes: tuple[_Name, ...]
    bandwidth: tuple[_Bandwidth, ...]
    latency: tuple[_Latency, ...]
    availability: tuple[_Availability, ...]
    tiers: dict[Tier, _Tier]


class _Surcharges(_Strict):
    modest: _Decimal
    steep: _Decimal


class _Axis(_Strict):
    share: float
    target: float
    slack: float
    factors: _Surcharges


class _Threshold(_Strict):
    enter: float
    leave: float


class _Bands(_Strict):
    modest: _Threshold
    steep: _Threshold
    withdrawn: _Threshold
    dwell_seconds: float
    reopen_margin: float


class _Quotes(_Strict):
    valid_seconds: float
    most_open: int


class _Scarcity(_Strict):
    axes: dict[Axis, _Axis]
    gain: float
    most: float
    bands: _Bands
    quotes: _Quotes


_Document = TypeVar("_Document", bound=BaseModel)


def load_catalogue(directory: Path) -> Catalogue:
    """The services of `services.yaml`; an error names the file and the place in it."""
    file = directory / "services.yaml"
    found = _read(file, _Services)
    try:
        return _catalogue(found)
    except AccordError as error:
        raise InvalidInputError(f"{file}: {error.message}", path=error.path, remedy="correct the file") from error


def load_market_policy(directory: Path) -> MarketPolicy:
    """How prices move, from `scarcity.yaml`; an error names the file and the place in it."""
    file = directory / "scarcity.yaml"
    found = _read(file, _Scarcity)
    try:
        return _policy(found)
    except AccordError as error:
        raise InvalidInputError(f"{file}: {error.message}", path=error.path, remedy="correct the file") from error


def _read(file: Path, model: type[_Document]) -> _Document:
    try:
        return model.model_validate(read_mapping(file))
    except NotFoundError as error:
        raise NotFoundError(error.message, path=error.path, remedy="give it or name another directory") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidInputError(f"{file}: {place}: {first['msg']}", path=place, remedy="correct the file") from error


def _catalogue(found: _Services) -> Catalogue:
    grades = {
        Axis.BANDWIDTH: tuple(
            Grade(Axis.BANDWIDTH, each.name, rank, float(BitRate.parse(each.rate).bits_per_second))
            for rank, each in enumerate(found.bandwidth)
        ),
        Axis.LATENCY: tuple(
            Grade(Axis.LATENCY, each.name, rank, Duration.parse(each.at_most).seconds if each.at_most else inf)
            for rank, each in enumerate(found.latency)
        ),
        Axis.AVAILABILITY: tuple(
            Grade(Axis.AVAILABILITY, each.name, rank, float(each.at_least))
            for rank, each in enumerate(found.availability)
        ),
    }
    by_name = {axis: {grade.name: grade for grade in ladder} for axis, ladder in grades.items()}
    offerings = tuple(
        _offering(found, tier, sold, by_name, names)
        for tier, sold in found.tiers.items()
        for names in ((b, l, a) for b in sold.bandwidth for l in sold.latency for a in sold.availability)  # noqa: E741
    )
    return Catalogue(found.currency, frozenset(found.classes), grades, offerings)


def _offering(
    found: _Services, tier: Tier, sold: _Tier, by_name: dict[Axis, dict[str, Grade]], names: tuple[str, str, str]
) -> Offering:
    grades = []
    for axis, name in zip(Axis, names, strict=True):
        if name not in by_name[axis]:
            raise InvalidInputError(f"the {tier} tier sells the {axis} grade '{name}', which is not listed")
        grades.append(by_name[axis][name])
    bandwidth, latency, availability = grades
    base = Money.parse(found.bandwidth[bandwidth.rank].price, found.currency)
    factor = Fraction(found.latency[latency.rank].factor) * Fraction(found.availability[availability.rank].factor)
    price = base.times(factor * Fraction(sold.factor))
    return Offering("-".join((tier.value, *names)), tier, bandwidth, latency, availability, price)


def _policy(found: _Scarcity) -> MarketPolicy:
    targets = {axis: AxisTarget(each.share, each.target, each.slack) for axis, each in found.axes.items()}
    factors = {
        axis: (Fraction(1), Fraction(each.factors.modest), Fraction(each.factors.steep))
        for axis, each in found.axes.items()
    }
    bands = found.bands
    modest, steep, withdrawn = (
        Threshold(each.enter, each.leave) for each in (bands.modest, bands.steep, bands.withdrawn)
    )
    return MarketPolicy(
        ScarcityPolicy(targets, found.gain, found.most),
        BandPolicy((modest, steep, withdrawn), bands.dwell_seconds, bands.reopen_margin),
        Tariff(factors),
        QuotePolicy(found.quotes.valid_seconds, found.quotes.most_open),
    )
