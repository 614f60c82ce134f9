"""Wallets presented at the operator's door, some changed before they were signed, and what is said of them."""

import json
from dataclasses import replace

from controller.negotiation.checks import Refusal
from controller.negotiation.jose import decode, encode
from controller.negotiation.verification import verify_wallet
from tests.controller.wallet_samples import (
    BANK_KEY,
    NOW,
    ROOT,
    asked,
    door,
    root_token,
)


def verdict(text, now=NOW, at=None, **changes):
    return verify_wallet(text, asked(**changes), now, at or door())


def refused_by(text, now=NOW, at=None, **changes):
    found = verdict(text, now, at, **changes)
    assert isinstance(found, Refusal), found
    assert found.text
    assert found.text.isprintable()
    return found.check


def with_terms(**changes):
    return replace(ROOT, terms=replace(ROOT.terms, **changes))


def signed_document(change, key=BANK_KEY):
    """A root credential whose document was changed before it was signed."""
    token = root_token()
    document = json.loads(decode(token.split(".")[1]))
    change(document)
    return signed_text(json.dumps(document).encode(), token.split(".")[0], key)


def signed_text(payload, header=None, key=BANK_KEY):
    content = f"{header or root_token().split('.')[0]}.{encode(payload)}"
    return f"{content}.{encode(key.sign(content.encode()))}"
