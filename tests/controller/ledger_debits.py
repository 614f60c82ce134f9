"""Processes that debit a ledger and are killed (SIGKILL), each before another statement.

The crash tests run `python ledger_debits.py DIRECTORY`. It debits `DIRECTORY/whole` to the end, which tells how many
statements there are, then `DIRECTORY/killed-N` in a process of its own for each statement N. What is imported is
imported once: the processes are forks of the first, which has no ledger open when it forks. How each of them ended, as
`os.waitstatus_to_exitcode` has it, is printed as a list.
"""

import json
import os
import signal
import sys
from pathlib import Path

from controller.adapters.ledger_sqlite import SqliteLedger
from tests.controller.ledger_samples import NOW, orders


def debit(path, last=0):
    """Post every order, dying before the statement `last`; returns how many statements there were."""
    counted = 0

    def count(_statement):
        nonlocal counted
        counted += 1
        if counted == last:
            os.kill(os.getpid(), signal.SIGKILL)

    ledger = SqliteLedger(path)
    ledger._connection.set_trace_callback(count)
    assert ledger.claim_nonce("did:key:z", "n-1", NOW + 60, NOW)
    for order in orders():
        ledger.post(order, NOW)
    ledger.close()
    return counted


def killed(path, last):
    """How a process ends that debits until statement `last`."""
    child = os.fork()
    if not child:
        try:
            debit(path, last)
        finally:
            os._exit(1)  # it should have been dead by now
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(directory):
    statements = debit(directory / "whole")
    ends = [killed(directory / f"killed-{number}", number) for number in range(1, statements + 1)]
    sys.stdout.write(json.dumps(ends))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
