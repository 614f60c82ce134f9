"""What negotiation exposes: every flow by class and band, refusals by check, and money as it stands."""

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from controller.model.units import BitRate
from controller.negotiation.wallet import ClassTerms
from controller.northbound.metrics_negotiation import NegotiationMetrics
from controller.ports import NewEvent
from controller.runtime.negotiation import Negotiations
from tests.controller.negotiation_plane import TERMS, Plane, held
from tests.controller.negotiation_samples import PROVIDER, euro
from tests.controller.test_negotiation_plane import WISH, negotiated


def exposed(plane: Plane, negotiations: Negotiations | None = None) -> set[str]:
    metrics = NegotiationMetrics(negotiations or plane.negotiations)
    metrics.note_events(plane.records())
    registry = CollectorRegistry()
    registry.register(metrics)
    return set(generate_latest(registry).decode().splitlines())


def refusals(plane: Plane, negotiations: Negotiations | None = None) -> set[str]:
    name = "accord_negotiation_refusals_total"
    return {line.removeprefix(name) for line in exposed(plane, negotiations) if line.startswith(name)}


async def test_offers_acceptances_prices_and_money_are_exposed_by_class_and_band() -> None:
    plane = Plane()
    done = await negotiated(plane)
    labels = '{band="baseline",class="order-execution"}'
    found = exposed(plane)
    assert f"accord_negotiation_offers_total{labels} 1.0" in found
    assert f"accord_negotiation_acceptances_total{labels} 1.0" in found
    price = done.terms.quote.price_per_hour.amount
    assert f"accord_negotiation_price_per_hour_sum{labels} {float(price)}" in found
    total = float(done.terms.quote.total.amount)
    assert (
        f'accord_negotiation_committed_money{{band="baseline",class="order-execution",currency="EUR"}} {total}' in found
    )
    assert 'accord_negotiation_agreements{class="order-execution",state="provisioned"} 1.0' in found
    assert 'accord_negotiation_agreements{class="order-execution",state="cooling"} 0.0' in found
    assert 'accord_market_links{axis="bandwidth",band="baseline",tier="ip"} 8.0' in found
    assert 'accord_market_links{axis="latency",band="withdrawn",tier="ip"} 0.0' in found


async def test_refusals_are_exposed_by_the_check_that_said_no_the_class_and_the_band() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("0.10"))))
    await negotiated(plane)
    assert refusals(plane) == {
        '{band="baseline",check="ceiling",class="order-execution"} 2.0',
    }


async def test_a_refusal_without_an_offer_has_no_band_and_its_class() -> None:
    plane = Plane(is_revoked=True)
    await negotiated(plane)
    assert refusals(plane) == {'{band="none",check="status",class="order-execution"} 1.0'}


async def test_a_class_that_nobody_sells_makes_no_label_of_its_own() -> None:
    plane = Plane(held=held(replace(TERMS, classes={"made-up": ClassTerms()})))
    await negotiated(plane, replace(WISH, workload_class="made-up"))
    operator = Negotiations(business=plane.negotiations.business, network=plane.negotiations.network)
    found = refusals(plane, operator)
    assert found
    assert all('class="other"' in line for line in found)


async def test_messages_that_were_turned_away_unwritten_are_of_no_class() -> None:
    plane = Plane()
    await negotiated(plane)
    business = plane.negotiations.house(PROVIDER)
    said = {"check": "expiry", "text": "late", "digest": "x", "more": 4}
    subject = next(iter(business.desk.dialogues))
    event = NewEvent(
        f"negotiation/{PROVIDER}/{subject}",
        "negotiation.turn-away",
        {"subject": subject, "arguments": said, "result": None},
    )
    assert plane.log is not None
    await plane.log.append([event], actor="bss-policy")
    assert refusals(plane) == {
        '{band="baseline",check="expiry",class="order-execution"} 1.0',
        '{band="none",check="expiry",class="other"} 4.0',
    }


async def test_changes_are_exposed_by_strategy_and_outcome() -> None:
    plane = Plane()
    root = (await negotiated(plane)).terms.root
    for refused in ({"change"}, set[str]()):
        plane.carrier.refuses = refused
        await plane.negotiations.outcome(await plane.negotiations.change(root, {"bandwidth": BitRate(10**9)}))
        await plane.negotiations.idle()
        plane.clock.time += 10
    found = exposed(plane)
    for outcome in ("failed", "done"):
        assert (
            f'accord_negotiation_changes_total{{class="order-execution",outcome="{outcome}",strategy="as asked"}} 1.0'
            in found
        )


async def test_where_nothing_is_negotiated_the_families_are_there_and_empty() -> None:
    registry = CollectorRegistry()
    registry.register(NegotiationMetrics(None))
    lines = generate_latest(registry).decode().splitlines()
    assert "# TYPE accord_negotiation_offers_total counter" in lines
    assert WISH.workload_class not in "".join(lines)
