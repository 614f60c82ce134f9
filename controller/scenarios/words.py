"""Owns the words of a scenario's story: what an agent's use of a tool means, in a sentence; most uses need none."""

from collections.abc import Callable, Mapping
from typing import Any

from controller.assurance.instance import InstanceEvent
from controller.negotiation.message_bodies import Action
from controller.negotiation.records import Record
from controller.negotiation.roles import Tool
from controller.scenarios.theatre import Theatre

Json = Any


def told(record: Record, theatre: Theatre) -> str:
    """The sentence; empty for what goes without saying."""
    words = _WORDS.get(record.tool)
    if words is None:
        return ""
    if record.refusal is not None:
        return f"refused by the check '{record.refusal.check}': {record.refusal.text}"
    return words(record, theatre)


def _money(document: Json) -> str:
    return f"{document['amount']} {document['currency']}"


def _is_nothing(document: Json) -> bool:
    return not str(document["amount"]).strip("0.")


def _class_of(agreement: str, theatre: Theatre) -> str:
    return theatre.negotiations.agreement(agreement).terms.request.workload_class


def _level(request: Json) -> str:
    late = request["latency_seconds"]
    parts = [f"{request['bandwidth'] / 1e6:g} Mbit/s", "any latency" if late is None else f"at most {late * 1e3:g} ms"]
    if request["tier"]:
        parts.append(f"over {request['tier']}")
    return f"{request['workload_class']} from {request['a']} to {request['z']}: {', '.join(parts)}"


def _declared(record: Record, _theatre: Theatre) -> str:
    said = record.arguments
    what = f"another level for {said['agreement']}" if said["agreement"] else "a service"
    return f"wants {what}: {_level(said['request'])}"


def _verified(record: Record, _theatre: Theatre) -> str:
    return f"admits the wallet {record.result['wallet']}"


def _offered(record: Record, _theatre: Theatre) -> str:
    said = record.arguments
    if not said["terms"]:
        return f"has nothing like it: {said['cause']}"
    offers = [_offer(terms) for terms in said["terms"]]
    why = f" because of a {said['cause']}" if said["cause"] and "breach" in said["cause"] else ""
    return f"offers{why}: {'; '.join(offers)}"


def _offer(terms: Json) -> str:
    quote = terms["quote"]
    bands = [f"{axis} {band}" for axis, band in quote["bands"].items() if band != "baseline"]
    scarce = f", {', '.join(bands)}" if bands else ""
    strategy = _STRATEGIES.get(terms["strategy"], f"{terms['strategy']}, ")
    return f"{strategy}{quote['offering']} for {_money(quote['total'])}{scarce}"


def _countered(record: Record, _theatre: Theatre) -> str:
    because = "; ".join(record.arguments["because"])
    return f"counters with {_level(record.arguments['request'])} ({because})"


def _refused(record: Record, _theatre: Theatre) -> str:
    return f"refuses by the check '{record.arguments['check']}': {record.arguments['text']}"


def _reserved(record: Record, _theatre: Theatre) -> str:
    amount = record.arguments["amount"]
    return "reserves nothing more, as it costs no more" if _is_nothing(amount) else f"reserves {_money(amount)}"


def _committed(said: Json) -> str:
    parts = [] if _is_nothing(said["amount"]) else [f"commits {_money(said['amount'])}"]
    parts += [] if _is_nothing(said["back"]) else [f"gives back {_money(said['back'])}"]
    return " and ".join(parts)


def _provisioned(record: Record, _theatre: Theatre) -> str:
    verb = _ACTIONS[Action(record.arguments["action"])]
    return f"{verb}: {record.result['done']}"


def _watched(record: Record, theatre: Theatre) -> str:
    said = record.arguments
    words = _STEPS.get(said["event"], said["event"])
    reason = f" ({said['text']})" if said["text"] else ""
    return f"{words} for {_class_of(said['agreement'], theatre)}{reason}"


def _at_risk(record: Record, theatre: Theatre) -> str:
    said = record.arguments
    return f"asks for a renegotiation of {_class_of(said['agreement'], theatre)}: {said['text']}"


def _clear_again(record: Record, theatre: Theatre) -> str:
    asked = theatre.negotiations.agreement(record.arguments["agreement"]).terms.asked
    return f"asks to go back, as it can be had again, to: {_level(asked.to_json())}"


_STRATEGIES = {"as asked": "", "step back": "back to what was asked, "}
_ACTIONS = {
    Action.ADD: "provisions the service",
    Action.MODIFY: "changes the service",
    Action.DELETE: "ends the service",
}
_STEPS: Mapping[str, str] = {
    InstanceEvent.ASSURE: "sees kept what was promised",
    InstanceEvent.PREDICT_BREACH: "foresees a breach",
    InstanceEvent.CLEAR: "sees the danger over",
    InstanceEvent.HOLD: "is not let act yet",
    InstanceEvent.COOLED: "may act again",
}
_WORDS: Mapping[Tool, Callable[[Record, Theatre], str]] = {
    Tool.DECLARE_INTENT: _declared,
    Tool.VERIFY_WALLET: _verified,
    Tool.OFFER: _offered,
    Tool.COUNTER_OFFER: _countered,
    Tool.REFUSE_OFFER: _refused,
    Tool.REFUSE_ORDER: _refused,
    Tool.ACCEPT_OFFER: lambda record, _theatre: f"signs {record.arguments['terms']}",
    Tool.RESERVE_MONEY: _reserved,
    Tool.SIGN_AGREEMENT: lambda _record, _theatre: "countersigns",
    Tool.PROVISION: _provisioned,
    Tool.COMMIT_MONEY: lambda record, _theatre: _committed(record.arguments),
    Tool.RELEASE_MONEY: lambda _record, _theatre: "gives back all that was reserved",
    Tool.WATCH: _watched,
    Tool.FLAG_RISK: _at_risk,
    Tool.FLAG_RECOVERY: _clear_again,
    Tool.TURN_AWAY: lambda record, _theatre: (
        f"turns a message away by the check '{record.arguments['check']}': {record.arguments['text']}"
    ),
}
