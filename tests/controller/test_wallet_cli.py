"""Wallets and ledgers on the command line, with files alone: what is issued verifies, what is wrong is named."""

import json
import os
import threading
import time
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from controller.adapters.ledger_sqlite import SqliteLedger
from controller.adapters.status_lists import StatusLists
from controller.adapters.tls import server_certificate
from controller.adapters.trust_file import TrustFile, load_trust
from controller.adapters.wallet_files import allot, create_identity, load_identity, new_id
from controller.cli.main import main
from controller.cli.wallet_reading import _unverified, read_wallet
from controller.model.errors import InvalidInputError
from controller.model.money import Money
from controller.negotiation.ledger import Order
from controller.negotiation.status_list import LEAST_BITS, MOST_TOKEN_OCTETS, sign_status_list
from controller.negotiation.trust import Trust
from controller.settings import Listen
from tests.controller.ledger_samples import NOW, orders
from tests.controller.wallet_samples import BANK, BANK_KEY
from tests.controller.wallet_samples import NOW as THEN

URL = "https://bank.example/status/1"
OPERATOR = "did:web:operator.example"


@pytest.fixture
def accord(monkeypatch, capfd, tmp_path):
    for name in list(os.environ):
        if name.startswith("ACCORD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def run(*words, code=0):
        capfd.readouterr()
        found = main(words)
        out, err = capfd.readouterr()
        assert found == code, (words, found, out, err)
        return (json.loads(out) if out.startswith("{") else out), err

    return run


@pytest.fixture
def bank(accord, tmp_path):
    """A bank, a shop that holds one of its wallets, a retail operator to whom it may be delegated."""
    accord("wallet", "init", "bank", "--id", "did:web:bank.example", "--status-list", URL)
    for holder in ("shop", "retail"):
        accord("wallet", "init", holder)
    issue(accord, "--out", "wallet.json")
    (tmp_path / "intent.json").write_text('{"bandwidth": "50 Mbit/s"}')
    return tmp_path


def did(directory):
    return json.loads((directory / "identity.json").read_text())["did"]


def issue(accord, *more, code=0, holder="shop", ceiling="500.00 EUR"):
    terms = ["--ceiling", ceiling, "--class", "premium=200.00:1.5", "--class", "bulk=:0.1"]
    words = ["wallet", "issue", "bank", "--name", "line-7", "--holder", did(Path(holder)), *terms, "--for", "30d"]
    return accord(*words, "--depth", "1", "--rate", "400.00", *more, code=code)


def verify(accord, path="wallet.json", *more, code=0):
    return accord("wallet", "verify", path, "--trust", "bank/trust.yaml", "-o", "json", *more, code=code)[0]


def present(accord, bank, *more, holder="shop", wallet="wallet.json"):
    words = ["wallet", "present", holder, wallet, "--audience", OPERATOR, "--intent", "intent.json", *more]
    found, _ = accord(*words)
    (bank / "presentation.json").write_text(json.dumps(found))
    return ["presentation.json", "--audience", OPERATOR, "--intent", "intent.json"]


def results(report):
    return {each["check"]: each["result"] for each in report["checks"]}


# -- from issue to revocation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [[], ["--embedded-proof"]])
def test_an_issued_wallet_verifies_and_shows_its_terms(accord, bank, form):
    issue(accord, *form, "--floor-latency", "50 ms", "--floor-availability", "0.999", "--out", "other.json")
    report = verify(accord, "other.json")
    assert report["refused_by"] == ""
    assert results(report)["status"] == "passed"
    assert results(report)["holder"] == "not looked at"
    shown, err = accord("wallet", "show", "other.json", "-o", "json")
    wallet = shown["items"][0]
    assert (wallet["ceiling"], wallet["envelope"]) == ("500.00 EUR", "did:web:bank.example/line-7")
    assert wallet["floor"] == ["at most 50 ms", "99.9 % of the time"]
    assert sorted(wallet["classes"]) == ["bulk up to 50.00 EUR (x0.1)", "premium up to 300.00 EUR (x1.5)"]
    assert "verify" in err


def test_a_presentation_verifies_for_its_operator_and_intent_only(accord, bank):
    path, *binding = present(accord, bank)
    assert results(verify(accord, path, *binding))["holder"] == "passed"
    (bank / "other.json").write_text("{}")
    for wrong in (["--audience", "did:web:x.example", *binding[2:]], [*binding[:3], "other.json"]):
        assert verify(accord, path, *wrong, code=4)["refused_by"] == "holder"
    path, *binding = present(accord, bank, holder="retail")
    assert verify(accord, path, *binding, code=4)["refused_by"] == "holder"


def test_a_revoked_wallet_is_refused_and_so_is_all_below_it(accord, bank):
    delegate(accord, "--out", "child.json")
    issue(accord, "--out", "second.json")
    assert verify(accord, "child.json")["refused_by"] == ""
    accord("wallet", "revoke", "bank", "wallet.json")
    for path in ("wallet.json", "child.json"):
        assert verify(accord, path, code=4)["refused_by"] == "status"
    assert verify(accord, "second.json")["refused_by"] == ""
    accord("wallet", "revoke", "bank", "--renew")
    assert verify(accord, code=4)["refused_by"] == "status"
    accord("wallet", "revoke", "bank", "urn:uuid:nobody", code=1)
    accord("wallet", "revoke", "shop", "wallet.json", code=1)
    accord("wallet", "revoke", "bank", code=64)


def test_who_delegates_with_a_list_of_his_own_revokes_what_he_delegated(accord, bank):
    accord("wallet", "init", "broker", "--status-list", "https://broker.example/status")
    issue(accord, "--out", "broker.json", holder="broker")
    words = ["wallet", "delegate", "broker", "broker.json", "--name", "retail", "--holder", did(bank / "retail")]
    accord(*words, "--ceiling", "100.00 EUR", "--out", "child.json")
    assert verify(accord, "child.json", code=4)["refused_by"] == "status"
    file, broker = (yaml.safe_load((bank / name / "trust.yaml").read_text()) for name in ("bank", "broker"))
    (entry,) = broker["issuers"].values()
    entry["status_lists"] = {"https://broker.example/status": "../broker/status.jwt"}
    (bank / "bank/trust.yaml").write_text(yaml.safe_dump({**file, "parties": broker["issuers"]}))
    assert verify(accord, "child.json")["refused_by"] == ""
    accord("wallet", "revoke", "broker", "child.json")
    assert verify(accord, "child.json", code=4)["refused_by"] == "status"
    assert verify(accord, "broker.json")["refused_by"] == ""
    words = ["wallet", "issue", "broker", "--name", "own", "--holder", did(bank / "shop"), "--class", "bulk"]
    accord(*words, "--ceiling", "1.00 EUR", "--for", "1d", "--out", "own.json")
    assert verify(accord, "own.json", code=4)["refused_by"] == "issuer"


def delegate(accord, *more, code=0, ceiling="100.00 EUR"):
    words = ["wallet", "delegate", "shop", "wallet.json", "--name", "retail", "--holder", did(Path("retail"))]
    return accord(*words, "--ceiling", ceiling, *more, code=code)


def test_a_delegated_wallet_is_narrower_and_presented_by_its_own_holder(accord, bank):
    delegate(accord, "--class", "bulk=:0.1", "--for", "12h", "--out", "child.json")
    path, *binding = present(accord, bank, holder="retail", wallet="child.json")
    assert results(verify(accord, path, *binding))["policy"] == "passed"
    shown, _ = accord("wallet", "show", "child.json", "-o", "json")
    root, child = shown["items"]
    assert child["parent"] == root["id"]
    assert (child["ceiling"], child["classes"]) == ("100.00 EUR", ["bulk up to 10.00 EUR (x0.1)"])
    assert child["rate_per_hour"] == "400.00 EUR"


@pytest.mark.parametrize(
    "more", [["--class", "gold"], ["--class", "bulk=:0.2"], ["--rate", "500.00"], ["--for", "40d"], ["--depth", "1"]]
)
def test_what_goes_beyond_the_parent_is_not_delegated(accord, bank, more):
    _, err = delegate(accord, *more, code=4)
    assert "wider" in err or "beyond" in err
    _, err = delegate(accord, ceiling="500.01 EUR", code=4)
    assert "ceiling" in err
    _, err = accord("wallet", "delegate", "retail", "wallet.json", "--name", "x", "--holder", did(bank / "shop"),
                    "--ceiling", "1.00 EUR", code=4)  # fmt: skip
    assert "holds this wallet" in err


def test_a_delegated_ceiling_is_reserved_once_in_the_delegators_ledger(accord, bank):
    more = ["--ledger", "ledger.sqlite"]
    delegate(accord, *more, "--out", "child.json")
    shown, _ = accord("ledger", "show", "--ledger", "ledger.sqlite", "-o", "json")
    assert [held["reserved"] for held in shown["items"]] == ["100.00 EUR"]
    _, err = delegate(accord, *more, ceiling="450.00 EUR", code=4)
    assert "cannot be reserved" in err
    delegate(accord, *more, "--out", "child.json", ceiling="1.00 EUR", code=4)
    again, _ = accord("ledger", "show", "--ledger", "ledger.sqlite", "-o", "json")
    assert again["items"] == shown["items"]


def test_a_spent_envelope_is_refused_by_the_ledger(accord, bank):
    chain = [each.wallet for each in _unverified(read_wallet(bank / "wallet.json"))]
    ledger = SqliteLedger(bank / "ledger.sqlite")
    for number, (name, amount) in enumerate([("premium", 300), ("bulk", 50)]):
        ledger.post(
            Order.reserve(chain, name, reservation=f"r{number}", key=f"k{number}", amount=Money(amount * 100, "EUR")),
            NOW + 10_000 * number,
        )
    ledger.close()
    assert verify(accord, "wallet.json", "--ledger", "ledger.sqlite")["refused_by"] == ""
    issue(accord, "--out", "small.json", ceiling="350.00 EUR")
    assert verify(accord, "small.json", "--ledger", "ledger.sqlite", code=4)["refused_by"] == "ledger"


# -- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ceiling, said",
    [
        ("500.00 XYZ", "no currency"),
        ("-5.00 EUR", "not an amount"),
        ("0.00 EUR", "more than nothing"),
        ("NaN EUR", "not an amount"),
        ("99999999999999999 EUR", "not an amount"),
        ("10000000000001.00 EUR", "at most"),
        ("5.001 EUR", "decimal digits"),
        ("5", "no currency"),
    ],
)
def test_a_ceiling_that_is_none_is_refused(accord, bank, ceiling, said):
    _, err = issue(accord, ceiling=ceiling, code=1)
    assert said in err


@pytest.mark.parametrize(
    "text, check",
    [
        ("", "form"),
        ("hello", "form"),
        ("x" * 10_000_000, "size"),
        ('{"credentials": ["a"], "credentials": ["b"]}', "form"),
        ('{"credentials": ["a.b.c"]}', "header"),
    ],
    ids=["empty", "text", "ten megabytes", "key twice", "no token"],
)
def test_a_file_that_is_no_wallet_is_refused_by_a_named_check(accord, bank, text, check):
    (bank / "bad.json").write_text(text)
    report = verify(accord, "bad.json", code=4)
    assert report["refused_by"] == check
    assert results(report)["ledger"] == "not looked at"
    accord("wallet", "show", "bad.json", code=1)


def test_a_wallet_of_an_unknown_issuer_is_refused_by_name(accord, bank):
    (bank / "empty.yaml").write_text("{}")
    report, err = accord("wallet", "verify", "wallet.json", "--trust", "empty.yaml", "-o", "json", code=4)
    assert report["refused_by"] == "issuer"
    assert "'issuer'" in err
    accord("wallet", "verify", "wallet.json", "--trust", "nothing.yaml", code=78)
    accord("wallet", "verify", "nothing.json", "--trust", "bank/trust.yaml", code=1)
    accord("wallet", "verify", "wallet.json", "--trust", "bank/trust.yaml", "--audience", OPERATOR, code=64)


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file["issuers"].update(x={"keys": {}}),
        lambda file: file["issuers"]["did:web:bank.example"].update(secret="x"),
        lambda file: file["issuers"]["did:web:bank.example"].update(keys={"did:web:other.example#1": "z6Mk"}),
        lambda file: file["issuers"]["did:web:bank.example"].update(keys={"did:web:bank.example#1": "z6Mk"}),
        lambda file: file.update(issuers=[]),
        lambda file: file.update(parties={"did:web:x.example": {"status_lists": {URL: ""}}}),
        lambda file: file.update(parties={"x": {}}),
    ],
)
def test_a_bad_trust_registry_is_bad_configuration(accord, bank, change):
    file = yaml.safe_load((bank / "bank/trust.yaml").read_text())
    change(file)
    (bank / "bad.yaml").write_text(yaml.safe_dump(file))
    accord("wallet", "verify", "wallet.json", "--trust", "bad.yaml", code=78)


def test_only_an_issuer_with_a_list_issues_and_a_wallet_is_not_overwritten(accord, bank):
    accord("wallet", "issue", "shop", "--name", "x", "--holder", did(bank / "shop"), "--ceiling", "1 EUR",
           "--class", "bulk", "--for", "1d", code=64)  # fmt: skip
    before = (bank / "wallet.json").read_bytes()
    places = (bank / "bank" / "issued.json").read_bytes()
    _, err = issue(accord, "--out", "wallet.json", code=4)
    assert "there already" in err
    assert (bank / "wallet.json").read_bytes() == before
    assert (bank / "bank" / "issued.json").read_bytes() == places
    accord("wallet", "init", "bank", code=4)


@pytest.mark.parametrize(
    "more, said, code",
    [(("--class", "bulk"), "named twice", 64), (("--floor-availability", "1.5"), "from 0 to 1", 1)],
)
def test_terms_that_no_wallet_could_have_are_refused(accord, bank, more, said, code):
    _, err = issue(accord, *more, code=code)
    assert said in err


# -- keys ------------------------------------------------------------------------------------------------------------


def test_private_keys_are_private_and_never_printed(accord, bank):
    said = [accord("wallet", "init", "another", "-o", "json"), accord("wallet", "show", "wallet.json")]
    said += [issue(accord), delegate(accord), accord("wallet", "present", "shop", "wallet.json", "--audience",
             OPERATOR, "--intent", "intent.json")]  # fmt: skip
    for directory in ("bank", "shop", "another"):
        key = bank / directory / "key.pem"
        assert key.stat().st_mode & 0o777 == 0o600
        secret = key.read_text().splitlines()[1]
        assert secret not in str(said)
        assert secret not in repr(load_identity(bank / directory))
        assert [path.name for path in (bank / directory).iterdir() if secret in path.read_text()] == ["key.pem"]


def test_a_key_that_others_can_read_is_not_used(accord, bank):
    (bank / "bank/key.pem").chmod(0o640)
    _, err = issue(accord, code=1)
    assert "others may read it" in err
    (bank / "bank/key.pem").chmod(0o600)
    (bank / "bank/key.pem").write_text("hello")
    issue(accord, code=1)


def test_every_wallet_has_a_place_of_its_own(accord, bank):
    threads = [threading.Thread(target=allot_some, args=(bank,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    places = json.loads((bank / "bank/issued.json").read_text())
    assert len(places) == len(set(places.values())) == 1 + 4 * 5
    assert max(places.values()) < LEAST_BITS


def allot_some(bank):
    for _ in range(5):
        allot(load_identity(bank / "bank"), new_id())


# -- ledger ----------------------------------------------------------------------------------------------------------


def test_a_ledger_is_shown_and_verified_without_a_daemon(accord, tmp_path):
    ledger = SqliteLedger(tmp_path / "ledger.sqlite")
    for order in orders():
        ledger.post(order, NOW)
    at = ["--ledger", "ledger.sqlite", "-o", "json"]
    shown = accord("ledger", "show", *at)[0]["items"]
    assert [(held["reserved"], held["committed"]) for held in shown] == [
        ("0.00 EUR", "1.50 EUR"),
        ("2.50 EUR", "0.00 EUR"),
    ]
    entries = accord("ledger", "show", "did:web:bank.example/line-7", "--entries", *at)[0]["items"]
    assert [each["kind"] for each in entries] == ["reserve", "commit", "release", "reserve", "refund"]
    assert accord("ledger", "show", "did:web:x.example/y", *at)[0]["items"] == []
    report = accord("ledger", "verify", *at)[0]
    assert (report["is_intact"], report["entries"]) == (True, 5)
    accord("ledger", "verify", *at, "--expect-head", report["head"])
    accord("ledger", "verify", *at, "--expect-head", f"9:{'0' * 64}", code=1)
    ledger._connection.execute("UPDATE entries SET minor = 1 WHERE position = 1")
    ledger.close()
    report = accord("ledger", "verify", *at, code=1)[0]
    assert report["findings"][0]["position"] == 1
    accord("ledger", "verify", "--ledger", "nothing", code=1)


# -- status lists over HTTPS -----------------------------------------------------------------------------------------


class Clock:
    def now(self):
        return float(THEN)

    def monotonic(self):
        return 0.0


class Answer(BaseHTTPRequestHandler):
    def __init__(self, answers, *arguments):
        self.answers = answers
        super().__init__(*arguments)

    def do_GET(self):
        status, body = self.answers[self.path]
        self.send_response(status)
        self.send_header("Location", "/good")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def served(tmp_path):
    """An HTTPS server and what it answers, by path; and the lists of a registry that names `path` on it."""
    made, answers = server_certificate(Listen(), tmp_path, time.time()), {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Answer, answers))
    server.socket = made.context().wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def lists(path):
        address = f"https://127.0.0.1:{server.server_port}{path}"
        trust = Trust({BANK: {BANK_KEY.id: BANK_KEY.public}}, {}, {address: BANK})
        return address, StatusLists(TrustFile(trust, {address: None}), Clock(), ca=made.certificate)

    yield answers, lists
    server.shutdown()
    server.server_close()


def signed(address, valid_from=THEN):
    return sign_status_list(bytes(LEAST_BITS // 8), address, BANK_KEY, valid_from, THEN + 1000).encode()


def test_a_list_is_fetched_over_https_and_the_last_good_one_is_kept(served):
    answers, lists = served
    address, cache = lists("/good")
    answers["/good"] = (200, signed(address))
    assert cache.get(address) is None
    assert cache.refresh() == {}
    kept = cache.get(address)
    assert kept is not None
    for answer in (
        (404, b""),
        (302, b""),
        (200, b"<html>"),
        (200, b"x" * (MOST_TOKEN_OCTETS + 10)),
        (200, signed("https://other.example")),
        (200, signed(address, THEN - 1)),
    ):
        answers["/good"] = answer
        assert list(cache.refresh()) == [address]
        assert cache.get(address) is kept
    answers["/good"] = (200, signed(address, THEN + 1))
    assert cache.refresh() == {}
    assert cache.get(address) is not kept


def test_a_redirect_is_not_followed_and_plain_http_not_spoken(served):
    answers, lists = served
    address, _ = lists("/good")
    answers["/good"] = (200, signed(address))
    elsewhere, cache = lists("/moved")
    answers["/moved"] = (302, b"")
    assert "HTTP 302" in cache.refresh()[elsewhere]
    plain = "http://127.0.0.1:1/list"
    registry = TrustFile(Trust({}, {}, {plain: BANK}), {plain: None})
    assert "HTTPS" in StatusLists(registry, Clock()).refresh()[plain]


def test_a_server_that_is_not_there_is_told_by_its_address(served, tmp_path):
    address = "https://127.0.0.1:1/list"
    registry = TrustFile(Trust({}, {}, {address: BANK}), {address: None})
    assert "cannot be fetched" in StatusLists(registry, Clock()).refresh()[address]
    missing = TrustFile(Trust({}, {}, {address: BANK}), {address: tmp_path / "nothing"})
    assert "cannot read" in StatusLists(missing, Clock()).refresh()[address]


def test_a_trust_registry_names_keys_lists_and_parties(tmp_path):
    identity = create_identity(tmp_path / "bank", "did:web:bank.example", URL, now=THEN)
    found = load_trust(tmp_path / "bank/trust.yaml")
    assert found.trust.issuer_key(identity.key.id).raw == identity.key.public.raw
    assert found.trust.status_lists == {URL: "did:web:bank.example"}
    assert found.sources == {URL: tmp_path / "bank/status.jwt"}
    with pytest.raises(InvalidInputError):
        create_identity(tmp_path / "x", "no did", now=THEN)
