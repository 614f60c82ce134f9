"""Nobody gets in without a token, and nobody does more than roles and scope allow."""

import itertools
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controller.model.errors import AuthenticationFailedError, InvalidInputError, NotAuthorizedError, NotFoundError
from controller.northbound.auth import (
    Action,
    Principal,
    Role,
    Target,
    TokenStore,
    add_token,
    authorize,
    load_tokens,
    new_token,
    require,
)

NOW = 1_800_000_000.0
SERVICE = Target("service", "acme-1", requested_by="bob")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "tokens.yaml"


def stored(file: Path, *roles: Role, **options: object) -> tuple[TokenStore, str]:
    token, entry = new_token("ann", roles, **options)  # type: ignore[arg-type]
    add_token(file, entry)
    return load_tokens(file), token


def test_a_token_is_recognised_and_only_its_hash_is_kept(file: Path) -> None:
    store, token = stored(file, Role.OPERATOR, services=["acme-*"])
    expected = Principal("ann", frozenset({Role.OPERATOR}), ("acme-*",))
    assert store.authenticate(token, NOW) == expected
    assert store.authenticate_header(f"bearer   {token} ", NOW) == expected
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize("wrong", ["", "x", "accord_", "é", "\udcff", "a" * 100_000])
def test_an_unknown_token_is_refused(file: Path, wrong: str) -> None:
    store, token = stored(file, Role.READER)
    for attempt in (wrong, token + wrong + "x", token[:-1], token.upper()):
        with pytest.raises(AuthenticationFailedError, match="not known"):
            store.authenticate(attempt, NOW)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
def test_a_header_without_a_bearer_token_is_refused(header: str) -> None:
    with pytest.raises(AuthenticationFailedError, match="no bearer token"):
        TokenStore([]).authenticate_header(header, NOW)


def test_a_token_ends_at_its_expiry(file: Path) -> None:
    store, token = stored(file, Role.READER, expires=datetime.fromtimestamp(NOW, UTC))
    assert store.authenticate(token, NOW - 1).name == "ann"
    with pytest.raises(AuthenticationFailedError, match="expired"):
        store.authenticate(token, NOW)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    stored(file, Role.READER)
    file.chmod(mode)
    with pytest.raises(InvalidInputError, match="mode 0"):
        load_tokens(file)


def test_a_token_file_handed_over_by_systemd_may_carry_an_access_control_list(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = stored(file, Role.READER)
    file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(file.parent))
    assert load_tokens(file).authenticate(token, NOW).name == "ann"


HASH = "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "tokens: [{name: a, sha256: 123, roles: [reader]}]",
        f"tokens: [{{name: a, sha256: '{HASH}', roles: []}}]",
        f"tokens: [{{name: a, sha256: '{HASH}', roles: [root]}}]",
        f"tokens: [{{name: '', sha256: '{HASH}', roles: [reader]}}]",
        f"tokens: [{{name: a, sha256: '{HASH}', roles: [reader], expires: 2026-01-01}}]",
        f"tokens: [{{name: a, sha256: '{HASH}', roles: [reader], scope: x}}]",
        f"tokens: [{{name: a, sha256: '{HASH}', roles: [reader]}}, {{name: a, sha256: '{HASH}', roles: [reader]}}]",
        "token: []",
        "- a",
        "tokens: [",
    ],
)
def test_a_malformed_token_file_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(InvalidInputError, match=r"malformed|cannot be read|are named"):
        load_tokens(file)


def test_without_a_token_file_the_way_to_make_one_is_told(file: Path) -> None:
    with pytest.raises(NotFoundError, match="accord token add"):
        load_tokens(file)


def test_adding_keeps_the_others_and_refuses_a_name_twice(file: Path) -> None:
    _, first = stored(file, Role.READER, services=["a*"], expires=datetime.fromtimestamp(NOW, UTC))
    token, entry = new_token("bob", [Role.APPROVER, Role.OPERATOR])
    add_token(file, entry)
    store = load_tokens(file)
    assert store.authenticate(first, NOW - 1).services == ("a*",)
    assert store.authenticate(token, NOW).roles == {Role.APPROVER, Role.OPERATOR}
    with pytest.raises(InvalidInputError, match="several tokens are named bob"):
        add_token(file, entry)
    assert len(yaml.safe_load(file.read_text())["tokens"]) == 2
    with pytest.raises(InvalidInputError):
        new_token("not a name", [Role.READER])


ALLOWED = {
    Role.READER: {Action.READ},
    Role.OPERATOR: {Action.READ, Action.PLAN, Action.CHANGE, Action.MANAGE},
    Role.APPROVER: {Action.READ, Action.PLAN, Action.APPROVE},
}


@pytest.mark.parametrize("role, action", list(itertools.product(Role, Action)))
def test_every_pair_of_role_and_action_is_decided(role: Role, action: Action) -> None:
    assert authorize(Principal("ann", frozenset({role})), action, SERVICE).is_allowed is (action in ALLOWED[role])


def test_nobody_approves_what_they_asked_for() -> None:
    both = frozenset({Role.OPERATOR, Role.APPROVER})
    assert authorize(Principal("ann", both), Action.APPROVE, SERVICE).is_allowed
    decision = authorize(Principal("bob", both), Action.APPROVE, SERVICE)
    assert not decision.is_allowed
    assert "somebody else" in decision.reason


def test_scope_holds_for_every_action_and_for_what_belongs_to_no_service() -> None:
    scoped = Principal("ann", frozenset(Role), ("acme-*", "umbrella"))
    for action in Action:
        assert authorize(scoped, action, Target("service", "acme-1")).is_allowed
        assert authorize(scoped, action, Target("service", "umbrella")).is_allowed
        for target in (Target("service", "other"), Target("service", "ACME-1"), Target("device"), Target("event")):
            assert not authorize(scoped, action, target).is_allowed
    assert not authorize(Principal("ann", frozenset(Role), ()), Action.READ, SERVICE).is_allowed


def test_a_refusal_is_an_error_with_its_reason() -> None:
    require(Principal("ann", frozenset({Role.READER})), Action.READ, SERVICE)
    with pytest.raises(NotAuthorizedError, match="'ann' is no operator, and may not change here") as refused:
        require(Principal("ann", frozenset({Role.READER})), Action.CHANGE, SERVICE)
    assert refused.value.tag == "access-denied"
    assert refused.value.path == "acme-1"


@given(
    st.frozensets(st.sampled_from(Role)), st.sampled_from(Action), st.lists(st.text(max_size=4)), st.text(max_size=4)
)
def test_no_one_is_allowed_without_a_role_that_allows_it(
    roles: frozenset[Role], action: Action, services: list[str], service: str
) -> None:
    decision = authorize(Principal("ann", roles, tuple(services)), action, Target("service", service))
    assert decision.is_allowed is not bool(decision.reason)
    if decision.is_allowed:
        assert any(action in ALLOWED[role] for role in roles)
