"""Owns reading sealed bids that came at once: who bids how much for which service.

    batch: evening
    bids:
      - {bidder: label-1, worth: "12.50", from: pe-a, to: pe-b, bandwidth: 1 Gbit/s, latency: 20 ms}

`batch` is a name that bidders cannot choose: it draws lots between equals. What is asked of a service is said as to the
API; `class` is `general` where none is named.
"""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.adapters.yaml_files import read_mapping
from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation.batch import MOST_BIDS
from controller.negotiation.contention import SealedBid
from controller.negotiation.request import ServiceRequest

_Text = Annotated[str, Field(min_length=1, max_length=100)]


class _Bid(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bidder: _Text
    worth: _Text
    source: Annotated[_Text, Field(alias="from")]
    target: Annotated[_Text, Field(alias="to")]
    bandwidth: _Text
    workload_class: Annotated[_Text, Field(alias="class")] = "general"
    duration: _Text = "1 h"
    latency: str = ""
    availability: Annotated[float, Field(ge=0, le=1)] = 0.0


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    batch: _Text
    bids: Annotated[tuple[_Bid, ...], Field(min_length=1, max_length=MOST_BIDS)]


def load_bids(file: Path, currency: str, now: float) -> tuple[str, tuple[SealedBid, ...]]:
    """The batch's name and its bids, for services from `now` on; `InvalidInputError` names file and key."""
    document: dict[str, Any] = read_mapping(file)
    try:
        found = _File.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InvalidInputError(f"{file}: {where}: {first['msg']}", path=where, remedy="correct the file") from error
    return found.batch, tuple(_sealed(bid, currency, now) for bid in found.bids)


def _sealed(bid: _Bid, currency: str, now: float) -> SealedBid:
    request = ServiceRequest(
        id=bid.bidder,
        a=bid.source,
        z=bid.target,
        bandwidth=BitRate.parse(bid.bandwidth),
        latency_seconds=Duration.parse(bid.latency).seconds if bid.latency else None,
        availability=bid.availability,
        workload_class=bid.workload_class,
        start=now,
        duration_seconds=max(1, round(Duration.parse(bid.duration).seconds)),
        consumer=bid.bidder,
    )
    return SealedBid(request, Money.parse(bid.worth, currency))
