"""The longer help texts of `accord lab`: what a fault does, and examples.

Owns their layout: a line holding only a backspace tells click to keep the paragraph's lines as they are.
"""

from collections.abc import Iterable

from lab.router.faults_point import Fault

MEANINGS = {
    Fault.CLOSE: "drop the connection",
    Fault.HANG: "never answer, keep the connection",
    Fault.LOSE_REPLY: "act, but do not answer",
    Fault.REJECT: "refuse, with --tag and --message",
    Fault.WARN: "act, and answer with a warning (--message)",
    Fault.GARBAGE: "answer with what nobody can read",
    Fault.LOCK_HELD: "refuse a lock, naming --session-id as its holder",
    Fault.REBOOT: "drop everything, come back on the same ports",
    Fault.DELAY: "wait --seconds, then go on",
    Fault.SPLIT: "send the reply in pieces of --octets",
    Fault.HUGE: "pad the reply to about --octets",
}


def _help(text: str, *parts: tuple[str, Iterable[str]]) -> str:
    """A text, then titled lists."""
    lists = ["\n".join(("\b", title, *(f"  {line}" for line in lines))) for title, lines in parts]
    return "\n\n".join((text, *lists))


UP = _help(
    "Start routers and keep them running until `accord lab down`, Ctrl-C or SIGTERM.",
    (
        "Examples:",
        ["accord lab up --detach", "accord lab up --topology sndlib/germany50 --profile-for berlin=running"],
    ),
)
FAULT = _help(
    "Script a fault of a router. It strikes once, unless --count says otherwise.",
    ("ACTION is one of:", [f"{fault:<12}{meaning}" for fault, meaning in MEANINGS.items()]),
    (
        "Examples:",
        [
            "accord lab fault pe-paris commit lose_reply --nth 2",
            "accord lab fault '*' edit-config delay --seconds 3 --count 0",
        ],
    ),
)
DRIFT = _help(
    "Change running on a router behind the controller's back. Without options, a description is changed.",
    ("Examples:", ["accord lab drift pe-london", "accord lab drift pe-london --interface access0 --disable"]),
)
