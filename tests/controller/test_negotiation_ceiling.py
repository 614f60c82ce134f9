"""Whatever a wallet may spend, what it is quoted is the same: only the ceiling changes, from the door to the price."""

from dataclasses import replace
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.money import Money
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.quote import QuoteRefusal, price
from controller.negotiation.request import ServiceRequest
from controller.negotiation.verification import Admitted, Asked, verify_wallet
from controller.negotiation.wallet import ClassTerms
from tests.controller.market_samples import CATALOGUE, REQUEST, SQUARE, loads, seller, ticked
from tests.controller.wallet_samples import NOW, ROOT, door, presented, root_token

_CENTS = st.integers(1, 10**12)
_ENVELOPES = st.tuples(_CENTS, st.none() | _CENTS, st.none() | _CENTS)


def quoted(envelope: tuple[int, int | None, int | None], request: ServiceRequest, share: float) -> object:
    """All that the asker sees when a wallet of this ceiling, class ceiling and rate comes with the request."""
    ceiling, of_class, rate = (None if cents is None else Money(cents, "EUR") for cents in envelope)
    assert ceiling is not None
    classes = {request.workload_class: ClassTerms(of_class, Fraction(1))}
    terms = replace(ROOT.terms, ceiling=ceiling, classes=classes, maximum_rate_per_hour=rate)
    presentation = presented([root_token(replace(ROOT, terms=terms))], intent=request.digest)
    asked = Asked(request.digest, request.workload_class, NOW, NOW + request.duration_seconds, terms.floor)
    admitted = verify_wallet(presentation, asked, NOW, door(catalogue_classes=CATALOGUE.classes))
    assert isinstance(admitted, Admitted)
    operator = seller(SQUARE, Tier.IP, Tier.OPTICAL)
    now = ticked(operator, loads(operator.meshes[0], "ab", share=share, axes=tuple(Axis)), 40, now=NOW - 400.0)
    answer = price(request, operator, now)
    return answer if isinstance(answer, QuoteRefusal) else [offer.quote.to_json() for offer in answer]


@settings(max_examples=40)
@given(_ENVELOPES, _ENVELOPES, st.sampled_from([0.0, 0.45, 0.9]), st.sampled_from(sorted(CATALOGUE.classes)))
def test_the_quote_is_the_same_for_any_two_ceilings(
    one: tuple[int, int | None, int | None], other: tuple[int, int | None, int | None], share: float, workload: str
) -> None:
    request = replace(REQUEST, start=float(NOW), workload_class=workload, latency_seconds=0.05, availability=0.999)
    assert quoted(one, request, share) == quoted(other, request, share)
