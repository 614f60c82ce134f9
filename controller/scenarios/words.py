"""Owns the words of a scenario's story: what an agent's use of a tool means, in a sentence; most uses need none."""

from collections.abc import Callable, Mapping
from typing import Any

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
    strategy = "" if terms["strategy"] == "as asked" else f"{terms['strategy']}, "
    return f"{strategy}{quote['offering']} for {_money(quote['total'])}{scarce}"


def _countered(record: Record, _theatre: Theatre) -> str:
    because = "; ".join(record.arguments["because"])
    return f"counters with {_level(record.arguments['request'])} ({because})"


def _refused(record: Record, _theatre: Theatre) -> str:
    return f"refuses by the check '{record.arguments['check']}': {record.arguments['text']}"


_WORDS: Mapping[Tool, Callable[[Record, Theatre], str]] = {
    Tool.DECLARE_INTENT: _declared,
    Tool.VERIFY_WALLET: _verified,
    Tool.OFFER: _offered,
    Tool.COUNTER_OFFER: _countered,
    Tool.REFUSE_OFFER: _refused,
    Tool.REFUSE_ORDER: _refused,
    Tool.ACCEPT_OFFER: lambda record, _theatre: f"signs {record.arguments['terms']}",
    Tool.RESERVE_MONEY: lambda record, _theatre: f"reserves {_money(record.arguments['amount'])}",
    Tool.SIGN_AGREEMENT: lambda _record, _theatre: "countersigns",
    Tool.PROVISION: lambda record, _theatre: f"provisions it: {record.result['done']}",
    Tool.COMMIT_MONEY: lambda record, _theatre: _committed(record.arguments),
    Tool.RELEASE_MONEY: lambda _record, _theatre: "gives back all that was reserved",
    Tool.WATCH: lambda record, _theatre: f"{record.arguments['event']}: {record.arguments['text']}",
    Tool.FLAG_RISK: lambda record, _theatre: f"asks for a renegotiation: {record.arguments['text']}",
    Tool.FLAG_RECOVERY: lambda record, _theatre: f"asks to go back: {record.arguments['text']}",
    Tool.TURN_AWAY: lambda record, _theatre: f"turns a message away by '{record.arguments['check']}'",
}


def _committed(said: Json) -> str:
    back = _money(said["back"]) if said["back"]["amount"].strip("0.") else ""
    return f"commits {_money(said['amount'])}" + (f" and gives back {back}" if back else "")
