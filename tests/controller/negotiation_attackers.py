"""What somebody with a key of their own may say to anybody, and how it is seen that it did no harm."""

from dataclasses import replace

import pytest

from controller.negotiation.jose import SigningKey
from controller.negotiation.message_bodies import (
    Body,
    Proposal,
    Withdrawal,
)
from controller.negotiation.messages import Message, MessageCheck, MessageKind, MessageRefusedError, seal
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain, Role
from controller.negotiation.standing_to_speak import own_name
from controller.runtime.negotiation_house import House
from tests.controller.negotiation_plane import START, Plane
from tests.controller.negotiation_samples import (
    PROVIDER,
    RIVAL,
    RIVAL_KEY,
)

_K, _R = MessageKind, Role
UNKNOWN = "agr-nobodys-01"
"""An agreement that there is not."""


def said(
    kind: MessageKind,
    sender: Role,
    recipient: Role,
    body: Body,
    correlation: str,
    *,
    key: SigningKey = RIVAL_KEY,
    to: str = PROVIDER,
) -> str:
    """A message that is well signed by whoever has the key."""
    party = key.id.partition("#")[0]
    id_ = f"m-{kind}-{correlation}-{party[-12:-8]}"
    message = Message(id_, kind, correlation, sender, party, recipient, to, float(START), START + 3000.0, body)
    return seal(message, key)


def rivals(number: int = 1) -> str:
    """A name that the rival may give a negotiation."""
    return own_name(Domain.ENTERPRISE, RIVAL, number)


def withdrawal(root: str, correlation: str, key: SigningKey = RIVAL_KEY) -> str:
    return said(_K.WITHDRAWAL, _R.ENTERPRISE_POLICY, _R.BSS_NEGOTIATION, Withdrawal("no", root), correlation, key=key)


def proposal(request: ServiceRequest, correlation: str, root: str = "", key: SigningKey = RIVAL_KEY) -> str:
    body = Proposal(request, "{}", root)
    return said(_K.PROPOSAL, _R.ENTERPRISE_POLICY, _R.BSS_POLICY, body, correlation, key=key)


def unharmed(plane: Plane) -> None:
    """Another process over the same log starts, folds every record, and stands where this one does."""
    after = replace(plane)
    assert after.negotiations.load() == len(plane.records())
    for before, house in zip(plane.negotiations.houses(), after.negotiations.houses(), strict=True):
        assert house.desk.dialogues == before.desk.dialogues
        assert house.desk.agreements == before.desk.agreements
        assert house.desk.open == before.desk.open


async def turned_away(house: House, token: str) -> MessageCheck:
    """By which check."""
    with pytest.raises(MessageRefusedError) as caught:
        await house.receive(token)
    return caught.value.check
