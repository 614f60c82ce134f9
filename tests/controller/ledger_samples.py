"""Orders to a ledger of one root, and what they are answered."""

from controller.negotiation.checks import Check, Refusal
from controller.negotiation.ledger import EntryKind, Limit, Order, Posted

ROOT = "did:web:bank.example/line-7"
CHILD = f"{ROOT}/retail"
NOW = 1_800_000_000.0
LIMITS = (Limit(ROOT, 1_000, 900, 800), Limit(CHILD, 600, 500, None))


def orders():
    """One of each kind of entry, and an order that must be refused."""
    return [
        Order(EntryKind.RESERVE, CHILD, "r-1", "k-1", 300, "EUR", "bulk", LIMITS),
        Order(EntryKind.COMMIT, ROOT, "r-1", "k-2", 200, "EUR"),
        Order(EntryKind.RESERVE, CHILD, "r-2", "k-3", 501, "EUR", "bulk", LIMITS),
        Order(EntryKind.RELEASE, ROOT, "r-1", "k-4"),
        Order(EntryKind.RESERVE, ROOT, "r-3", "k-5", 250, "EUR", "bulk", LIMITS[:1]),
        Order(EntryKind.REFUND, ROOT, "r-1", "k-6", 50, "EUR"),
    ]


def reserve(key, minor, *, envelope=ROOT, workload_class="bulk", limits=None, reservation="", currency="EUR"):
    limits = limits or (LIMITS if envelope == CHILD else LIMITS[:1])
    return Order(EntryKind.RESERVE, envelope, reservation or key, key, minor, currency, workload_class, limits)


def draw(kind, reservation, key, minor=None):
    return Order(kind, ROOT, reservation, key, minor, "EUR" if minor else "")


def refusal(ledger, order, now=NOW):
    answer = ledger.post(order, now)
    assert isinstance(answer, Refusal)
    assert answer.check is Check.LEDGER
    return answer.text


def posted(ledger, order, now=NOW):
    answer = ledger.post(order, now)
    assert isinstance(answer, Posted), answer
    return answer


def held(ledger, reservation):
    holding = ledger.holding(ROOT, reservation)
    return holding.reserved, holding.committed
