"""Owns how much of an event of the market is told to whom: all of it to operators, to everybody else bands only.

Draft naas-agentic-negotiation: congestion prices are published only through bands, and allocation is never exposed.
Shadow prices, and for how long a band must stay, are this daemon's own reckoning; so are the links that an offer would
run over. Only who manages the daemon reads them in its log. What is kept back is named in the event's `withheld`: its
hash is of all of it, so only operators can check it against its data.
"""

from collections.abc import Callable, Mapping
from typing import Any

from controller.events import types
from controller.negotiation.bands import BANDS
from controller.negotiation.catalogue import Axis
from controller.negotiation.market_book import AxisState
from controller.negotiation.roles import Tool
from controller.northbound.auth import Action, Principal, authorize_role
from controller.northbound.views import event_view
from controller.ports import Event
from controller.runtime.negotiation_house import EVENT_PREFIX

Json = Any


def event_for(event: Event, principal: Principal) -> Json:
    """An event as this caller may see it."""
    shown = event_view(event)
    rule = _RULES.get(event.type)
    if rule is None or authorize_role(principal, Action.MANAGE).is_allowed:
        return shown
    withheld, said_without = rule
    return {**shown, "data": said_without(event.data), "withheld": list(withheld)}


def _bands(data: Json) -> Json:
    links = {
        link: {
            axis.value: BANDS[AxisState.from_json(state).band.rank].value
            for axis, state in zip(Axis, axes, strict=True)
        }
        for link, axes in data["links"].items()
    }
    return {"tier": data["tier"], "links": links}


def _without_paths(data: Json) -> Json:
    return {**data, "result": {name: said for name, said in data["result"].items() if name != "paths"}}


_RULES: Mapping[str, tuple[tuple[str, ...], Callable[[Json], Json]]] = {
    types.MARKET_MOVED: (("prices", "times", "grades on sale"), _bands),
    f"{EVENT_PREFIX}{Tool.FIND_OFFERS}": (("paths",), _without_paths),
}
