"""A process that debits a ledger and is killed (SIGKILL) before the statement of a given number.

The crash tests run `python ledger_debits.py FILE STATEMENT`. Statement 0 is never reached; then it prints how many
there were.
"""

import os
import signal
import sys
from pathlib import Path

from controller.adapters.ledger_sqlite import SqliteLedger
from controller.negotiation.ledger import EntryKind, Limit, Order

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


def main(path, last):
    counted = 0

    def count(_statement):
        nonlocal counted
        counted += 1
        if counted == last:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = SqliteLedger(Path(path))
    ledger._connection.set_trace_callback(count)
    assert ledger.claim_nonce("did:key:z", "n-1", NOW + 60, NOW) in {True, False}
    for order in orders():
        ledger.post(order, NOW)
    ledger.close()
    sys.stdout.write(f"done {counted}\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
