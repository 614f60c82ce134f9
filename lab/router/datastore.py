"""Owns a router's configuration datastores: running, candidate, startup (RFC 6241 sections 5, 7 and 8)."""

import secrets
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from lxml import etree

from lab.router import rpc_errors
from lab.router.confirmed import Outcome, PendingCommit, Scheduler, Timer
from lab.router.edit import TreeEditor
from lab.router.locks import Locks
from lab.router.profiles import Profile
from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.validation import check_payload, check_tree
from lab.router.xml import data, serialise

__all__ = ["CommitEvent", "ConfigChange", "ConfigEdit", "ConfigStore", "Scheduler", "Timer"]

DefaultOperation = Literal["merge", "replace", "none"]
TestOption = Literal["test-then-set", "set", "test-only"]
ErrorOption = Literal["stop-on-error", "continue-on-error", "rollback-on-error"]

_KEPT_EDITS = 1000  # a change report names at most so many nodes; beyond, it names the whole datastore


@dataclass(frozen=True, slots=True)
class ConfigEdit:
    """One changed node: RFC 6241 operation, and instance-identifier with module names as prefixes on every step."""

    operation: str
    path: str


@dataclass(frozen=True, slots=True)
class ConfigChange:
    """A datastore now has another content. `session_id` is 0 when the router itself did it (a rollback)."""

    datastore: str
    session_id: int
    username: str
    edits: tuple[ConfigEdit, ...]


@dataclass(frozen=True, slots=True)
class CommitEvent:
    """A confirmed commit was started, extended, completed, cancelled or timed out (RFC 6470 section 2.2)."""

    outcome: Outcome
    session_id: int
    username: str
    timeout: float


class ConfigStore:
    """The datastores of one router. Synchronous, no I/O; every refusal is an RpcError.

    Trees are `<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">` and immutable once installed: never edit what
    `get` returns. Capability checks (is there a candidate, is running writable) are the protocol servers' business:
    RESTCONF edits running of any router (RFC 8040 section 1.4).
    """

    def __init__(
        self,
        schema: Schema,
        profile: Profile,
        *,
        scheduler: Scheduler,
        now: Callable[[], datetime],
        initial: etree._Element | None = None,
    ) -> None:
        """Start from `initial` (day 0, a <data> or <config> tree), installed in running and startup.

        `etag` and `last_modified` change with each change of running.
        """
        self.schema = schema
        self.profile = profile
        self._scheduler = scheduler
        self._now = now
        self._locks = Locks()
        self._users: dict[int, str] = {}
        self._listeners: list[Callable[[ConfigChange], None]] = []
        self._commit_listeners: list[Callable[[CommitEvent], None]] = []
        self._rules: list[Callable[[etree._Element], None]] = []
        self._epoch = secrets.token_hex(4)
        self._version = 0
        self._running = data() if initial is None else self._built(initial)
        self._startup = self._running
        self._candidate: etree._Element | None = None  # None: the candidate is running
        self._candidate_edits: list[ConfigEdit] = []
        self._pending: PendingCommit | None = None
        self._texts: dict[str, tuple[etree._Element, bytes]] = {}
        self._valid: etree._Element | None = None
        self.last_modified = now()
        check_tree(schema, self._running)

    # -- reading

    @property
    def etag(self) -> str:
        """Entity tag of running; it never repeats."""
        return f"{self._epoch}-{self._version}"

    @property
    def candidate_is_dirty(self) -> bool:
        """True when the candidate holds uncommitted changes."""
        return self._candidate is not None

    @property
    def pending_commit(self) -> PendingCommit | None:
        """The confirmed commit that waits for its confirmation."""
        return self._pending

    def get(self, datastore: str) -> etree._Element:
        """Return the immutable <data> tree of `running`, `candidate` or `startup`."""
        if datastore == "running":
            return self._running
        if datastore == "candidate":
            return self._running if self._candidate is None else self._candidate
        if datastore == "startup":
            return self._startup
        raise rpc_errors.invalid_value(f"there is no datastore {datastore}", type="protocol")

    def serialised(self, datastore: str) -> bytes:
        """Return the canonical XML of `get(datastore)`, cached as long as the tree stands."""
        tree = self.get(datastore)
        slot = "running" if tree is self._running else datastore
        cached = self._texts.get(slot)
        if cached is None or cached[0] is not tree:
            cached = self._texts[slot] = (tree, serialise(tree))
        return cached[1]

    def lock_holder(self, datastore: str) -> int | None:
        """Return the session-id that has locked a datastore."""
        return self._locks.holder(datastore)

    # -- sessions and locks

    def session_opened(self, session_id: int, username: str) -> None:
        """Tell whose session this is, for ConfigChange."""
        self._users[session_id] = username

    def session_closed(self, session_id: int) -> None:
        """Release its locks (discarding a candidate it had locked); roll back its non-persistent confirmed commit."""
        for datastore in self._locks.held_by(session_id):
            self.unlock(datastore, session_id)
        pending = self._pending
        if pending is not None and pending.persist is None and pending.session_id == session_id:
            self._undo("cancel")
        self._users.pop(session_id, None)

    def lock(self, datastore: str, session_id: int) -> None:
        """Lock; lock-denied when held, when the candidate is dirty, or a foreign confirmed commit is pending."""
        self.get(datastore)
        if self._locks.holder(datastore) is None:
            if datastore == "candidate" and self.candidate_is_dirty:
                raise rpc_errors.lock_denied(0)
            pending = self._pending
            if datastore == "running" and pending is not None and pending.session_id != session_id:
                raise rpc_errors.lock_denied(pending.session_id if pending.session_id in self._users else 0)
        self._locks.take(datastore, session_id)

    def unlock(self, datastore: str, session_id: int) -> None:
        """Unlock; unlocking the candidate discards it."""
        self.get(datastore)
        self._locks.release(datastore, session_id)
        if datastore == "candidate":
            self._drop_candidate()

    # -- changing

    def edit(
        self,
        datastore: str,
        config: etree._Element,
        *,
        session_id: int,
        default_operation: DefaultOperation = "merge",
        test_option: TestOption | None = None,
        error_option: ErrorOption = "stop-on-error",
    ) -> None:
        """Apply <config>'s children. Without a test option running is validated now, the candidate at commit.

        Constraint checks of a candidate wait for validate or commit, as RFC 7950 section 8.3.3 has it; test-then-set
        asks for them now. stop-on-error keeps what was applied before the error, continue-on-error what could be.
        """
        self._locks.require_free(datastore, session_id)
        check_payload(self.schema, config)
        base = self.get(datastore)
        tree = deepcopy(base)
        editor = TreeEditor(self.schema, error_option)
        refusal: RpcError | None = None
        try:
            editor.apply(tree, config, default_operation)
        except RpcError as error:
            if error_option == "rollback-on-error" or test_option == "test-only":
                raise
            refusal = error
        if test_option in {"test-then-set", "test-only"} or (datastore != "candidate" and test_option != "set"):
            self._check(tree)
        elif datastore == "running":
            self._check(tree)  # running is always valid (RFC 7950 section 8.1)
        if test_option != "test-only" and editor.edits:
            edits = [ConfigEdit(operation, path) for operation, path in editor.edits]
            self._install(datastore, tree, session_id, edits)
        if refusal is not None:
            raise refusal

    def copy(self, source: str | etree._Element, target: str, *, session_id: int) -> None:
        """Replace the whole content of `target` with another datastore's, or with an inline <config>."""
        if source == target:
            raise rpc_errors.invalid_value("source and target are the same datastore", type="protocol")
        self._locks.require_free(target, session_id)
        tree = self.get(source) if isinstance(source, str) else self._built(source)
        if target != "candidate":
            self._check(tree)
        self._install(target, tree, session_id, [ConfigEdit("replace", "/")])

    def delete(self, target: str, *, session_id: int) -> None:
        """Empty `startup`."""
        if target != "startup":
            raise rpc_errors.invalid_value(f"datastore {target} cannot be deleted", type="protocol")
        self._locks.require_free(target, session_id)
        self._install(target, data(), session_id, [ConfigEdit("delete", "/")])

    def discard(self, session_id: int) -> None:
        """Make the candidate follow running again."""
        self._locks.require_free("candidate", session_id)
        self._drop_candidate()

    def validate(self, source: str | etree._Element) -> None:
        """Validate a datastore or an inline <config>."""
        self._check(self.get(source) if isinstance(source, str) else self._built(source))
        if source == "candidate" and self.profile.quirks.validate_drops_candidate:
            self._drop_candidate()

    # -- committing

    def commit(
        self,
        session_id: int,
        *,
        confirmed: bool = False,
        timeout: float = 600.0,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None:
        """Make the candidate running; confirmed: undo it after `timeout` seconds unless confirmed.

        A plain commit confirms a pending one; a confirmed commit extends it, keeping what it would undo.
        """
        self._locks.require_free("running", session_id)
        self._locks.require_free("candidate", session_id)
        pending = self._pending
        if pending is not None:
            pending.require(session_id, persist_id)
        elif persist_id is not None:
            raise rpc_errors.invalid_value("no confirmed commit with this persist-id is pending", type="protocol")
        before = self._running
        self._promote(session_id)
        if confirmed:
            self._await_confirmation(pending, before, session_id, timeout, persist)
        elif pending is not None:
            pending.timer.cancel()
            self._pending = None
            self._announce("complete", session_id)

    def cancel_commit(self, session_id: int, persist_id: str | None = None) -> None:
        """Undo the pending confirmed commit now."""
        if self._pending is None:
            raise RpcError("operation-failed", "there is no confirmed commit to cancel", type="protocol")
        self._pending.require(session_id, persist_id)
        self._undo("cancel", session_id)

    def subscribe(self, listener: Callable[[ConfigChange], None]) -> None:
        """Call `listener` after each change of a datastore."""
        self._listeners.append(listener)

    def subscribe_commits(self, listener: Callable[[CommitEvent], None]) -> None:
        """Call `listener` on each step of a confirmed commit's life."""
        self._commit_listeners.append(listener)

    def require(self, rule: Callable[[etree._Element], None]) -> None:
        """Ask `rule` about each tree that is to be valid, beyond what its schema says; it raises RpcError to refuse."""
        self._rules.append(rule)

    def reboot(self) -> None:
        """Forget sessions, locks and candidate; undo a pending confirmed commit; load what the profile boots from."""
        self._locks.clear()
        self._users.clear()
        self._drop_candidate()
        if self._pending is not None:
            self._undo("cancel")
        if self.profile.boots_from == "startup" and self._running is not self._startup:
            self._install("running", self._startup, 0, [ConfigEdit("replace", "/")])

    # -- inside

    def _promote(self, session_id: int) -> None:
        tree = self._candidate
        if tree is None:
            return
        if self.profile.quirks.rewrite_at_commit:
            tree = _rewritten(tree)
        self._check(tree)
        edits = self._candidate_edits
        self._drop_candidate()
        self._install("running", tree, session_id, edits)

    def _await_confirmation(
        self,
        pending: PendingCommit | None,
        before: etree._Element,
        session_id: int,
        timeout: float,
        persist: str | None,
    ) -> None:
        if pending is not None:
            pending.timer.cancel()
            before = pending.before
        timer = self._scheduler.call_later(timeout, self._expire)
        self._pending = PendingCommit(before, session_id, timer, persist)
        self._announce("start" if pending is None else "extend", session_id, timeout)

    def _expire(self) -> None:
        if self._pending is not None:
            self._undo("timeout")

    def _undo(self, outcome: Outcome, session_id: int = 0) -> None:
        pending = self._pending
        if pending is None:
            return
        pending.timer.cancel()
        self._pending = None
        if self._running is not pending.before:
            self._install("running", pending.before, session_id, [ConfigEdit("replace", "/")])
        self._announce(outcome, session_id)

    def _install(self, datastore: str, tree: etree._Element, session_id: int, edits: list[ConfigEdit]) -> None:
        if datastore == "candidate":
            following = tree is self._running
            self._candidate = None if following else tree
            self._candidate_edits = [] if following else _bounded([*self._candidate_edits, *edits])
        elif datastore == "startup":
            self._startup = tree
        else:
            self._running = tree
            self._version += 1
            self.last_modified = self._now()
        change = ConfigChange(datastore, session_id, self._users.get(session_id, ""), tuple(_bounded(edits)))
        for listener in self._listeners:
            listener(change)

    def _announce(self, outcome: Outcome, session_id: int, timeout: float = 0.0) -> None:
        event = CommitEvent(outcome, session_id, self._users.get(session_id, ""), timeout)
        for listener in self._commit_listeners:
            listener(event)

    def _drop_candidate(self) -> None:
        self._candidate = None
        self._candidate_edits = []
        self._texts.pop("candidate", None)

    def _built(self, config: etree._Element) -> etree._Element:
        """Make a canonical tree of a <config> or <data> element."""
        check_payload(self.schema, config)
        tree = data()
        TreeEditor(self.schema).apply(tree, config, "merge")
        return tree

    def _check(self, tree: etree._Element) -> None:
        if tree is not self._valid and tree is not self._running:
            check_tree(self.schema, tree)
            for rule in self._rules:
                rule(tree)
        self._valid = tree


def _bounded(edits: list[ConfigEdit]) -> list[ConfigEdit]:
    return edits if len(edits) <= _KEPT_EDITS else [ConfigEdit("replace", "/")]


def _rewritten(tree: etree._Element) -> etree._Element:
    """Imitate devices that store another spelling than they were given."""
    copy = deepcopy(tree)
    for item in copy.iter("{*}description"):
        item.text = (item.text or "").lower() or None
    return copy
