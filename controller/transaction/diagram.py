"""Owns the picture of the state machine, drawn from the tables themselves (Mermaid)."""

from collections import defaultdict
from collections.abc import Mapping

from controller.transaction.states import BACKWARD, FORWARD, ON_ENTRY, DeviceState, Signal


def mermaid() -> str:
    """A participant's way forward and back; several signals on one arrow are joined."""
    lines = ["stateDiagram-v2"]
    for goal, table in (("forward", FORWARD), ("backward", BACKWARD)):
        lines.append(f"    state {goal} {{")
        lines += [f"        {_edge(goal, one, other, signals)}" for (one, other), signals in _arrows(table).items()]
        lines.append("    }")
    lines += [
        f"    note right of forward_{_id(state)} : {act}" for state, act in ON_ENTRY.items() if _is_forward(state)
    ]
    return "\n".join(lines) + "\n"


def _arrows(
    table: Mapping[tuple[DeviceState, Signal], DeviceState],
) -> Mapping[tuple[DeviceState, DeviceState], list[Signal]]:
    arrows: dict[tuple[DeviceState, DeviceState], list[Signal]] = defaultdict(list)
    for (state, signal), following in table.items():
        arrows[state, following].append(signal)
    return arrows


def _edge(goal: str, one: DeviceState, other: DeviceState, signals: list[Signal]) -> str:
    return f"{goal}_{_id(one)} --> {goal}_{_id(other)} : {', '.join(signals)}"


def _is_forward(state: DeviceState) -> bool:
    return any(state is one for one, _ in FORWARD)


def _id(state: DeviceState) -> str:
    return state.value.replace("-", "_")
