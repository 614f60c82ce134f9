"""Owns `make bench-wallet`: what it costs to go through every check of a wallet, and to post in the ledger.

Verifications beside bare Ed25519 verifications of as many signatures, in the same run: by how often the wallet was
delegated, by the size of the status list, and with the nonce and the ledger on disk. What is refused early, beside
what is admitted. Postings, each durable when it returns, beside bare commits of one row of the same size in the same
file system.
"""

import gc
import sqlite3
import statistics
import tempfile
import time
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from bench.table import Row, row, write
from controller.adapters.ledger_sqlite import SqliteLedger
from controller.model.money import Money
from controller.model.units import BitRate, Duration
from controller.negotiation import credential
from controller.negotiation.checks import Refusal
from controller.negotiation.credential import StatusEntry
from controller.negotiation.holder import present
from controller.negotiation.jose import SigningKey, decode
from controller.negotiation.ledger import EntryKind, Ledger, Order
from controller.negotiation.ledger_state import LedgerState
from controller.negotiation.multibase import did_key_id, did_of
from controller.negotiation.status_list import LEAST_BITS, MOST_OCTETS, compressed, read_status_list, sign_status_list
from controller.negotiation.trust import Trust
from controller.negotiation.verification import Admitted, Asked, Door, verify_wallet
from controller.negotiation.wallet import ClassTerms, DelegationRules, ServiceLevelFloor, Wallet, WalletTerms

NOW = 1_800_000_000
BANK, OPERATOR = "did:web:bank.example", "did:web:operator.example"
LIST = "https://bank.example/status/1"
KEY = SigningKey.of(f"{BANK}#key-1", bytes([1] * 32))
TRUST = Trust({BANK: {KEY.id: KEY.public}}, {}, {LIST: BANK})
DELEGATIONS = (0, 1, 2, 3)
LIST_OCTETS = (LEAST_BITS // 8, LEAST_BITS, MOST_OCTETS)
PRESENTED = 300
POSTED = 1_000
REPEATS = 5
_LEVEL = ServiceLevelFloor(BitRate(50_000_000), Duration(20_000), Fraction("0.9999"))
ASKED = Asked("intent-digest", "premium", NOW, NOW + 3_600, _LEVEL)
TERMS = WalletTerms(
    ceiling=Money.parse("500000.00", "EUR"),
    classes={"premium": ClassTerms(Money.parse("500000.00", "EUR")), "bulk": ClassTerms(None, Fraction(1, 10))},
    valid_from=NOW - 86_400,
    valid_until=NOW + 86_400,
    floor=ServiceLevelFloor(BitRate(10_000_000), Duration(50_000), Fraction("0.999")),
    maximum_rate_per_hour=Money.parse("500000.00", "EUR"),
    delegation=DelegationRules(3),
)


def _holder(number: int) -> SigningKey:
    raw = bytes([number + 2] * 32)
    return SigningKey.of(did_key_id(did_of(SigningKey.of("", raw).public)), raw)


def _did(key: SigningKey) -> str:
    return key.id.partition("#")[0]


def _chain(delegations: int) -> tuple[list[Wallet], list[str], SigningKey]:
    """Wallets, their credentials, and the key of the last holder."""
    holder = _holder(0)
    wallets = [Wallet("urn:uuid:0", f"{BANK}/line-7", BANK, _did(holder), TERMS)]
    tokens = [credential.issue(wallets[0], KEY, StatusEntry(LIST, 42))]
    for number in range(1, delegations + 1):
        parent, issuer, holder = wallets[-1], holder, _holder(number)
        rules = DelegationRules(parent.terms.delegation.depth - 1)
        terms = replace(parent.terms, delegation=rules)
        envelope = f"{parent.envelope}/part-{number}"
        wallets.append(Wallet(f"urn:uuid:{number}", envelope, _did(issuer), _did(holder), terms, parent.id))
        tokens.append(credential.issue(wallets[-1], issuer))
    return wallets, tokens, holder


def _presentations(tokens: list[str], holder: SigningKey) -> list[str]:
    """Each with a nonce of its own, as a nonce is taken once."""
    return [_presentation(tokens, holder, number) for number in range(PRESENTED)]


def _presentation(tokens: list[str], holder: SigningKey, number: int) -> str:
    return present(tokens, holder, audience=OPERATOR, intent=ASKED.digest, nonce=f"n-{number}", now=NOW).text()


def _door(ledger: Ledger, octets: int = LEAST_BITS // 8) -> Door:
    signed = sign_status_list(bytes(octets), LIST, KEY, NOW - 10, NOW + 86_400)
    found = read_status_list(signed, LIST, TRUST, NOW)
    return Door(OPERATOR, TRUST, {LIST: found}.get, ledger, {"premium", "bulk"})


def _beside(ours: Callable[[], int], baseline: Callable[[], int]) -> tuple[float, float]:
    """The median rates of two works, turn about; each returns how many it did. CPU time: nothing here waits."""
    rates: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for work, found in zip((ours, baseline), rates, strict=True):
            gc.collect()
            start = time.process_time()
            done = work()
            found.append(done / (time.process_time() - start))
    return statistics.median(rates[0]), statistics.median(rates[1])


def _bare() -> int:
    """Ed25519 verifications of what a credential's signature is over."""
    content, _, signature = _chain(0)[1][0].rpartition(".")
    message, octets = content.encode(), decode(signature)
    return _times(PRESENTED, lambda: KEY.public.public.verify(octets, message))


def _verifications(texts: list[str], octets: int = LEAST_BITS // 8, *, admitted: bool = True) -> Callable[[], int]:
    """A work: each presentation at a door with a new ledger, as its nonce is taken once."""
    doors = iter([_door(LedgerState(), octets) for _ in range(REPEATS)])

    def work() -> int:
        at = next(doors)
        answers = [verify_wallet(text, ASKED, NOW, at) for text in texts]
        if any(isinstance(answer, Admitted) is not admitted for answer in answers):
            raise AssertionError(f"not as it should be: {answers[0]}")
        return len(answers)

    return work


def _row(name: str, texts: list[str], signatures: int, octets: int = LEAST_BITS // 8) -> Row:
    ours, bare = _beside(_verifications(texts, octets), _bare)
    baseline = f"{signatures} bare Ed25519 verifies"
    return row(name, len(texts), ours, bare / signatures, baseline, "wallets/s")


def _by_delegations() -> list[Row]:
    rows = []
    for delegations in DELEGATIONS:
        _, tokens, holder = _chain(delegations)
        name = f"every check, {delegations} delegations ({delegations + 2} signatures)"
        rows.append(_row(name, _presentations(tokens, holder), delegations + 2))
    return rows


def _never_seen() -> Row:
    """Wallets that were not presented before, so that nothing of them is remembered."""
    (wallet,), _, holder = _chain(0)
    texts = []
    for number in range(PRESENTED * REPEATS):
        token = credential.issue(replace(wallet, id=f"urn:uuid:new-{number}"), KEY, StatusEntry(LIST, 42))
        texts.append(_presentation([token], holder, number))
    at, left = _door(LedgerState()), iter(texts)

    def work() -> int:
        if any(isinstance(verify_wallet(next(left), ASKED, NOW, at), Refusal) for _ in range(PRESENTED)):
            raise AssertionError("a good wallet was refused")
        return PRESENTED

    ours, bare = _beside(work, _bare)
    name = "every check, wallets never seen before (2 signatures)"
    return row(name, PRESENTED, ours, bare / 2, "2 bare Ed25519 verifies", "wallets/s")


def _by_list() -> list[Row]:
    """A list that is known costs a look; reading one anew costs its decompression."""
    _, tokens, holder = _chain(0)
    texts, rows = _presentations(tokens, holder), []
    for octets in LIST_OCTETS:
        rows.append(_row(f"every check, status list of {octets * 8} places", texts, 2, octets))
        signed = sign_status_list(bytes(octets), LIST, KEY, NOW - 10, NOW + 86_400)
        packed = decode(compressed(bytes(octets))[1:])
        read, gunzip = _beside(partial(_read_lists, signed), partial(_gunzip_lists, packed))
        rows.append(row(f"a list of {octets * 8} places read anew", 20, read, gunzip, "bare gunzip", "lists/s"))
    return rows


def _read_lists(signed: str) -> int:
    return _times(20, lambda: read_status_list(signed, LIST, TRUST, NOW))


def _gunzip_lists(packed: bytes) -> int:
    return _times(20, lambda: zlib.decompress(packed, 31))


def _times(count: int, action: Callable[[], object]) -> int:
    for _ in range(count):
        action()
    return count


def _refused() -> list[Row]:
    _, tokens, holder = _chain(0)
    forged = credential.issue(_chain(0)[0][0], SigningKey.of(KEY.id, bytes([9] * 32)), StatusEntry(LIST, 42))
    kinds = {
        "ten megabytes": ["x" * 10_000_000] * PRESENTED,
        "a forged signature": _presentations([forged], holder),
        "somebody else's proof": _presentations(tokens, _holder(7)),
    }
    rows = []
    for name, texts in kinds.items():
        ours, bare = _beside(_verifications(texts, admitted=False), _bare)
        rows.append(row(f"refused: {name}", PRESENTED, ours, bare, "bare Ed25519 verify", "wallets/s"))
    return rows


def _on_disk(directory: Path) -> Row:
    """With the nonce remembered on disk before the answer."""
    _, tokens, holder = _chain(0)
    texts = _presentations(tokens, holder)
    ours, bare = [], []
    for turn in range(REPEATS):
        bare.append(_commits(directory / f"rows-{turn}", PRESENTED))
        with closing(SqliteLedger(directory / f"nonces-{turn}")) as ledger:
            at = _door(ledger)
            start = time.perf_counter()
            if any(isinstance(verify_wallet(text, ASKED, NOW, at), Refusal) for text in texts):
                raise AssertionError("a good wallet was refused")
            ours.append(PRESENTED / (time.perf_counter() - start))
    name, baseline = "every check, nonce and ledger on disk", "bare SQLite commit of a row"
    return row(name, PRESENTED, statistics.median(ours), statistics.median(bare), baseline, "wallets/s")


def _commits(path: Path, count: int = POSTED) -> float:
    """Bare commits of one row per second, with the same durability."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB)")
        body = bytes(400)
        start = time.perf_counter()
        for _ in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t (body) VALUES (?)", (body,))
            connection.execute("COMMIT")
        return count / (time.perf_counter() - start)


def _postings(ledger: Ledger, delegations: int) -> float:
    """Half reservations, half commits of them."""
    wallets, _, _ = _chain(delegations)
    amount, root = Money(1, "EUR"), wallets[0].envelope
    start = time.perf_counter()
    for number in range(POSTED // 2):
        name = f"r-{number}"
        reserve = Order.reserve(wallets, "premium", reservation=name, key=f"{name}/reserve", amount=amount)
        commit = Order.of(EntryKind.COMMIT, root, reservation=name, key=f"{name}/commit")
        for order in (reserve, commit):
            answer = ledger.post(order, NOW + 5 * number)
            if isinstance(answer, Refusal):
                raise AssertionError(f"{order}: {answer}")  # noqa: TRY004 - an order that should pass did not
    return POSTED / (time.perf_counter() - start)


def _ledger(directory: Path) -> list[Row]:
    """Ours and the bare commits turn about, as a disk has its moods."""
    rows = []
    for delegations in DELEGATIONS:
        ours, bare = [], []
        for turn in range(REPEATS):
            bare.append(_commits(directory / f"bare-{delegations}-{turn}"))
            with closing(SqliteLedger(directory / f"ledger-{delegations}-{turn}")) as ledger:
                ours.append(_postings(ledger, delegations))
        name = f"durable postings, {delegations} delegations, with a rate"
        baseline = "bare SQLite commit of a row"
        rows.append(row(name, POSTED, statistics.median(ours), statistics.median(bare), baseline, "postings/s"))
    return rows


def main() -> None:
    """Measure and write."""
    rows = [*_by_delegations(), _never_seen(), *_by_list(), *_refused()]
    with tempfile.TemporaryDirectory() as directory:
        rows += [_on_disk(Path(directory)), *_ledger(Path(directory))]
    write("wallet", rows)


if __name__ == "__main__":
    main()
