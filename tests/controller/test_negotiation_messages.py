"""The vocabulary of negotiations: what is said is signed, for one reader, for a while, and read strictly."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import InvalidInputError, NotAuthorizedError
from controller.negotiation.dialogue import TABLES, Cue, Stage, advance
from controller.negotiation.jose import sign
from controller.negotiation.message_bodies import (
    Acceptance,
    Action,
    CounterRequest,
    Countersigned,
    Feasibility,
    Feasible,
    Finding,
    Offers,
    Order,
    Proposal,
    Refusal,
    Report,
    Variation,
    Withdrawal,
)
from controller.negotiation.messages import (
    KIND,
    MOST_OCTETS,
    ROUTES,
    Message,
    MessageCheck,
    MessageKind,
    MessageRefusedError,
    seal,
    unseal,
)
from controller.negotiation.records import ToolCall
from controller.negotiation.roles import AUTHORITY, Domain, Role, Tool
from controller.negotiation.strict_json import canonical
from tests.controller.negotiation_samples import (
    CONSUMER,
    CONSUMER_KEY,
    NETWORK,
    NETWORK_KEY,
    NOW,
    PROVIDER,
    PROVIDER_KEY,
    REQUEST,
    STRANGER_KEY,
    key_of,
    quote,
    signed,
    terms,
)

_K, _R = MessageKind, Role
_VARIED = Variation(terms().strategy, REQUEST, ("a:1>b:1",))
SAID = [
    (_K.PROPOSAL, _R.ENTERPRISE_POLICY, Proposal(REQUEST, "presentation")),
    (_K.FEASIBILITY, _R.BSS_NEGOTIATION, Feasibility((_VARIED,), agreement="agr-1")),
    (_K.FEASIBILITY, _R.OSS_PLANNING, Feasibility((), (Feasible(terms().strategy, REQUEST, quote()),), "because")),
    (_K.QUOTE, _R.BSS_NEGOTIATION, Offers((terms(), terms("agr-2")))),
    (_K.COUNTER_OFFER, _R.ENTERPRISE_POLICY, CounterRequest(REQUEST)),
    (_K.COUNTER_OFFER, _R.BSS_NEGOTIATION, Offers((terms(),), "a breach is predicted")),
    (_K.ACCEPTANCE, _R.ENTERPRISE_POLICY, Acceptance("agr-1", "signature", "presentation")),
    (_K.ACCEPTANCE, _R.BSS_NEGOTIATION, Countersigned(signed(terms()))),
    (_K.REFUSAL, _R.BSS_POLICY, Refusal("status", "it is revoked")),
    (_K.WITHDRAWAL, _R.ENTERPRISE_POLICY, Withdrawal("no need any more", "agr-1")),
    (_K.ORDER, _R.BSS_NEGOTIATION, Order(Action.MODIFY, signed(terms("agr-2")), signed(terms()))),
    (_K.REPORT, _R.OSS_ASSURANCE, Report(Finding.PREDICTED_BREACH, "agr-1", "soon", axis="latency", avoid=("a>b",))),
]
_PARTIES = {
    Domain.ENTERPRISE: (CONSUMER, CONSUMER_KEY),
    Domain.BSS: (PROVIDER, PROVIDER_KEY),
    Domain.OSS: (NETWORK, NETWORK_KEY),
}


def message(kind: MessageKind = _K.PROPOSAL, sender: Role = _R.ENTERPRISE_POLICY, **changes: Any) -> Message:
    body = changes.pop("body", SAID[0][2])
    recipient = changes.pop("recipient", min(ROUTES[kind, sender]))
    made = Message(
        id="m-1",
        kind=kind,
        correlation="neg-1",
        sender=sender,
        sender_party=_PARTIES[sender.domain][0],
        recipient=recipient,
        recipient_party=_PARTIES[recipient.domain][0],
        sent=NOW,
        expires=NOW + 60,
        body=body,
    )
    return replace(made, **changes)


def check_of(token: str, party: str = PROVIDER, now: float = NOW) -> MessageCheck:
    with pytest.raises(MessageRefusedError) as caught:
        unseal(token, key_of, party, now)
    return caught.value.check


def with_payload(document: object) -> str:
    return sign(canonical(document), CONSUMER_KEY, kind=KIND)


# -- what is said ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, sender, body", SAID)
def test_every_message_arrives_as_it_was_said(kind: MessageKind, sender: Role, body: Any) -> None:
    said = message(kind, sender, body=body)
    key = _PARTIES[sender.domain][1]
    assert unseal(seal(said, key), key_of, said.recipient_party, NOW) == said


def test_every_kind_of_message_is_said_by_somebody_to_somebody_of_another_domain() -> None:
    assert {kind for kind, _ in ROUTES} == set(MessageKind)
    for (_, sender), recipients in ROUTES.items():
        assert all(recipient.domain is not sender.domain for recipient in recipients)


def test_a_message_that_its_sender_has_no_business_to_say_is_refused() -> None:
    for kind in MessageKind:
        for sender in Role:
            for recipient in Role:
                if recipient not in ROUTES.get((kind, sender), ()):
                    document = {
                        **message().to_json(),
                        "kind": kind.value,
                        "sender": sender.value,
                        "recipient": recipient.value,
                    }
                    assert check_of(with_payload(document)) is MessageCheck.VOCABULARY


# -- what is turned away -----------------------------------------------------------------------------------------------


def test_a_stranger_a_forger_and_one_who_speaks_for_others_are_told_apart() -> None:
    assert check_of(seal(message(), STRANGER_KEY)) is MessageCheck.KEY
    token = seal(message(), CONSUMER_KEY)
    head, payload, signature = token.split(".")
    other = seal(message(id="m-2"), CONSUMER_KEY).split(".")[2]
    assert check_of(f"{head}.{payload}.{other}") is MessageCheck.SIGNATURE
    assert check_of(seal(message(), NETWORK_KEY)) is MessageCheck.SENDER
    assert signature != other


def test_a_message_for_somebody_else_is_not_taken() -> None:
    assert check_of(seal(message(), CONSUMER_KEY), party=NETWORK) is MessageCheck.RECIPIENT


def test_a_message_is_taken_until_it_expires_and_not_before_it_was_sent() -> None:
    token = seal(message(), CONSUMER_KEY)
    assert unseal(token, key_of, PROVIDER, NOW + 100).id == "m-1"  # clocks may be a minute apart
    assert check_of(token, now=NOW + 121) is MessageCheck.EXPIRY
    assert check_of(token, now=NOW - 61) is MessageCheck.CLOCK
    assert check_of(seal(message(expires=NOW - 1), CONSUMER_KEY)) is MessageCheck.CLOCK


@pytest.mark.parametrize(
    "token, check",
    [
        ("x" * (MOST_OCTETS + 1), MessageCheck.SIZE),
        ("", MessageCheck.HEADER),
        ("a.b", MessageCheck.HEADER),
        (sign(b"{}", CONSUMER_KEY, kind="accord-agreement+jwt"), MessageCheck.HEADER),
        (sign(b'{"id": 1, "id": 2}', CONSUMER_KEY, kind=KIND), MessageCheck.PAYLOAD),
        (sign(b'{"sent": NaN}', CONSUMER_KEY, kind=KIND), MessageCheck.PAYLOAD),
        (sign(b'{"id": "\\ud800"}', CONSUMER_KEY, kind=KIND), MessageCheck.PAYLOAD),
        (sign(b"[]", CONSUMER_KEY, kind=KIND), MessageCheck.PAYLOAD),
        (sign(b"{}", CONSUMER_KEY, kind=KIND), MessageCheck.VOCABULARY),
    ],
)
def test_what_is_no_message_is_refused_by_the_check_it_fails(token: str, check: MessageCheck) -> None:
    assert check_of(token) is check


@pytest.mark.parametrize(
    "change",
    [
        {"unknown": 1},
        {"id": ""},
        {"id": "x" * 201},
        {"sent": "now"},
        {"sent": True},
        {"expires": 1e300},
        {"kind": "order-now"},
        {"sender": "anybody"},
        {"body": []},
        {"body": {}},
        {"body": {**SAID[0][2].to_json(), "presentation": 7}},
        {"body": {**SAID[0][2].to_json(), "request": {**REQUEST.to_json(), "bandwidth": -1}}},
        {"body": {**SAID[0][2].to_json(), "request": {**REQUEST.to_json(), "duration_seconds": 0}}},
    ],
)
def test_a_member_that_is_not_as_it_should_be_is_refused(change: dict[str, Any]) -> None:
    assert check_of(with_payload({**message().to_json(), **change})) is MessageCheck.VOCABULARY


@given(
    st.recursive(st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(), st.lists, max_leaves=5)
)
def test_whatever_stands_in_a_body_is_refused_by_name_or_understood(value: Any) -> None:
    for member in message().to_json():
        token = with_payload({**message().to_json(), member: value})
        try:
            understood = unseal(token, key_of, PROVIDER, NOW)
        except MessageRefusedError:
            continue
        assert understood.to_json()[member] == value


@pytest.mark.parametrize("money", [{"amount": "-1.00", "currency": "EUR"}, {"amount": "1", "currency": "XXX"}, 3.5])
def test_money_that_is_none_is_refused(money: Any) -> None:
    offers = Offers((terms(),)).to_json()
    offers["terms"][0]["amount"] = money
    with pytest.raises(InvalidInputError):
        Offers.from_json(offers)


# -- who may do what ---------------------------------------------------------------------------------------------------


def test_every_tool_belongs_to_somebody_and_nobody_uses_another_ones() -> None:
    assert AUTHORITY.keys() == set(Tool)
    for tool in Tool:
        for role in Role:
            if role in AUTHORITY[tool]:
                assert ToolCall(role, tool, "neg-1").tool is tool
            else:
                with pytest.raises(NotAuthorizedError):
                    ToolCall(role, tool, "neg-1")


def test_money_is_moved_by_one_agent_and_wallets_are_verified_by_another() -> None:
    for tool in (Tool.RESERVE_MONEY, Tool.COMMIT_MONEY, Tool.RELEASE_MONEY):
        assert AUTHORITY[tool] == {Role.BSS_NEGOTIATION}
    assert AUTHORITY[Tool.VERIFY_WALLET] == {Role.BSS_POLICY}
    assert AUTHORITY[Tool.FIND_OFFERS] == AUTHORITY[Tool.PROVISION] == {Role.OSS_PLANNING}


# -- where a negotiation stands ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", list(Domain))
def test_every_pair_of_stage_and_cue_is_listed_or_illegal(domain: Domain) -> None:
    for stage in Stage:
        for cue in Cue:
            if (stage, cue) in TABLES[domain]:
                assert advance(domain, stage, cue) is TABLES[domain][stage, cue]
            else:
                with pytest.raises(Exception, match="knows no"):
                    advance(domain, stage, cue)


@pytest.mark.parametrize("domain", list(Domain))
def test_every_stage_is_reached_ends_and_nothing_follows_an_end(domain: Domain) -> None:
    table = TABLES[domain]
    reached, grown = {Stage.NEW}, True
    while grown:
        more = {after for (before, _), after in table.items() if before in reached}
        grown, reached = not more <= reached, reached | more
    assert {stage for pair in table.items() for stage in (pair[0][0], pair[1])} <= reached
    assert not [pair for pair in table if pair[0].is_final]
    ending, grown = {stage for stage in reached if stage.is_final}, True
    while grown:
        more = {before for (before, _), after in table.items() if after in ending}
        grown, ending = not more <= ending, ending | more
    assert reached <= ending


def test_nothing_is_asked_of_the_network_before_the_wallet_is_admitted() -> None:
    asking = {before for (before, cue) in TABLES[Domain.BSS] if cue is Cue.ASK}
    admitting = {(before, cue) for (before, cue), after in TABLES[Domain.BSS].items() if after in asking}
    # A live agreement's wallet was admitted when it was agreed; a counter-offer follows an offer.
    assert admitting == {
        (Stage.PROPOSED, Cue.ADMIT),
        (Stage.NEW, Cue.GOT_FLAG),
        (Stage.OFFERED, Cue.GOT_COUNTER_OFFER),
    }
