"""What negotiation exposes: every flow by class and band, refusals by check, and money as it stands."""

from dataclasses import replace

from prometheus_client import CollectorRegistry, generate_latest

from controller.model.units import BitRate
from controller.northbound.metrics_negotiation import NegotiationMetrics
from tests.controller.negotiation_plane import TERMS, Plane, held
from tests.controller.negotiation_samples import euro
from tests.controller.test_negotiation_plane import WISH, negotiated


def exposed(plane: Plane) -> set[str]:
    metrics = NegotiationMetrics(plane.negotiations)
    metrics.note_events(plane.records())
    registry = CollectorRegistry()
    registry.register(metrics)
    return set(generate_latest(registry).decode().splitlines())


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


async def test_refusals_are_exposed_by_the_check_that_said_no() -> None:
    plane = Plane(held=held(replace(TERMS, ceiling=euro("0.10"))))
    await negotiated(plane)
    assert 'accord_negotiation_refusals_total{check="ceiling"} 2.0' in exposed(plane)


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
