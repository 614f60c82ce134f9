"""Owns the checks between a wallet and the first effort spent on it, in their order, and a refusal that names one."""

from dataclasses import dataclass
from enum import StrEnum


class Check(StrEnum):
    """What is looked at, cheapest and least trusting first; nothing is priced before the last one is passed."""

    SIZE = "size"
    HEADER = "header"
    ISSUER = "issuer"
    SIGNATURE = "signature"
    FORM = "form"
    DATES = "dates"
    STATUS = "status"
    HOLDER = "holder"
    POLICY = "policy"
    LEDGER = "ledger"


class Work(StrEnum):
    """Effort that can be spent on a request; only the first three may be before the wallet is admitted."""

    SIGNATURE = "signature"
    STATUS = "status"
    LEDGER = "ledger"
    PRICING = "pricing"
    PLANNING = "planning"
    JUDGING = "judging"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why not: the check that was not passed, and one sentence that may be told to the one who asked."""

    check: Check
    text: str

    def __str__(self) -> str:
        return f"{self.check}: {self.text}"


class RefusedError(Exception):
    """A refusal on its way to the door that returns it."""

    def __init__(self, check: Check, text: str) -> None:
        super().__init__(f"{check}: {text}")
        self.refusal = Refusal(check, text)
