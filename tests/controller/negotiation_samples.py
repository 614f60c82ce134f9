"""A bank and an operator who negotiate about the way from a to d, with keys of their own and the catalogue we sell."""

from dataclasses import replace
from typing import Any

from controller.model.money import Money
from controller.model.units import BitRate
from controller.negotiation.agreement import Agreement, ServiceLevel, Strategy, Terms, sign_terms
from controller.negotiation.bands import Band
from controller.negotiation.catalogue import Axis, Tier
from controller.negotiation.jose import PublicKey, SigningKey
from controller.negotiation.quote import Quote
from controller.negotiation.request import ServiceRequest
from controller.negotiation.roles import Domain

NOW = 1_000_000.0
CONSUMER, PROVIDER, NETWORK = "did:web:bank.example", "did:web:operator.example:bss", "did:web:operator.example:oss"
WALLET = f"{CONSUMER}/line-7"
CONSUMER_KEY = SigningKey.of(f"{CONSUMER}#key-1", bytes([11] * 32))
PROVIDER_KEY = SigningKey.of(f"{PROVIDER}#key-1", bytes([12] * 32))
NETWORK_KEY = SigningKey.of(f"{NETWORK}#key-1", bytes([13] * 32))
STRANGER_KEY = SigningKey.of("did:web:stranger.example#key-1", bytes([14] * 32))
RIVAL = "did:web:rival.example"
"""Another consumer of the same operator."""
RIVAL_KEY = SigningKey.of(f"{RIVAL}#key-1", bytes([15] * 32))
OTHER_PROVIDER = "did:web:elsewhere.example:bss"
"""Another operator, whom the consumer knows as well."""
OTHER_PROVIDER_KEY = SigningKey.of(f"{OTHER_PROVIDER}#key-1", bytes([16] * 32))
KEYS = {key.id: key.public for key in (CONSUMER_KEY, PROVIDER_KEY, NETWORK_KEY, RIVAL_KEY, OTHER_PROVIDER_KEY)}
DOMAINS = {
    CONSUMER: Domain.ENTERPRISE,
    RIVAL: Domain.ENTERPRISE,
    PROVIDER: Domain.BSS,
    OTHER_PROVIDER: Domain.BSS,
    NETWORK: Domain.OSS,
}
REQUEST = ServiceRequest(
    id="r1",
    a="a",
    z="d",
    bandwidth=BitRate(200_000_000),
    latency_seconds=0.02,
    availability=0.999,
    workload_class="order-execution",
    start=NOW,
    duration_seconds=3600,
    consumer=CONSUMER,
)
LEVEL = ServiceLevel("ip", 200_000_000, 20_000, 999_000)


def key_of(key_id: str) -> PublicKey | None:
    return KEYS.get(key_id)


def euro(text: str) -> Money:
    return Money.parse(text, "EUR")


def quote(request: ServiceRequest = REQUEST, price: str = "3.30", **changes: Any) -> Quote:
    said: dict[str, Any] = {
        "id": f"quote-{request.id}",
        "request": request.id,
        "request_digest": request.digest,
        "offering": "ip-200M-20ms-99.9",
        "tier": Tier.IP,
        "bit_rate": 200_000_000,
        "price_per_hour": euro(price),
        "total": euro(price),
        "bands": dict.fromkeys(Axis, Band.BASELINE),
        "valid_until": NOW + 30,
        "reservation": f"hold-{request.id}",
        "path": "path-1",
    }
    return Quote(**{**said, **changes})


def terms(id_: str = "agr-1", price: str = "3.30", **changes: Any) -> Terms:
    request = changes.get("request", REQUEST)
    made = Terms(
        id=id_,
        root=id_,
        consumer=CONSUMER,
        provider=PROVIDER,
        wallet=WALLET,
        strategy=Strategy.AS_ASKED,
        asked=request,
        request=request,
        level=LEVEL,
        quote=quote(request, price),
        amount=euro(price),
    )
    return replace(made, **changes)


def signed(said: Terms) -> Agreement:
    return Agreement(said, sign_terms(said, CONSUMER_KEY), sign_terms(said, PROVIDER_KEY))


def reissue(parent: Agreement, id_: str, **changes: Any) -> Agreement:
    return signed(terms(id_, root=parent.root, parent=parent.id, parent_hash=parent.hash, **changes))
