"""Owns: what a CLI session edits: the candidate shared with everyone, locked for itself, or a private copy of it."""

from collections import deque
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lxml import etree

from lab.router.datastore import ConfigChange, ConfigStore
from lab.router.edit import TreeEditor
from lab.router.restconf_edit import graft, new_config, replacement
from lab.router.rpc_errors import RpcError, failed
from lab.router.validation import check_payload
from lab.router.xml import data

_KEPT_COMMITS = 10
_PERSIST = "cli"


@dataclass(frozen=True, slots=True)
class Committed:
    """A running configuration that another one replaced: what `rollback N` goes back to."""

    tree: etree._Element  # lxml has no public name for it
    replaced_at: datetime
    username: str


class CommitHistory:
    """The last replaced running configurations, newest first, whichever protocol replaced them."""

    def __init__(self, store: ConfigStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._current = store.get("running")
        self._replaced: deque[Committed] = deque(maxlen=_KEPT_COMMITS)
        store.subscribe(self._changed)

    def __iter__(self) -> Iterator[Committed]:
        return iter(tuple(self._replaced))

    def _changed(self, change: ConfigChange) -> None:
        if change.datastore == "running":
            self._replaced.appendleft(Committed(self._current, self._now(), change.username or "root"))
            self._current = self._store.get("running")

    def tree(self, number: int) -> etree._Element:
        """Configuration number N: 0 is running, 1 the one before it. Raises `RpcError` when it is not kept."""
        if number == 0:
            return self._current
        if number > len(self._replaced):
            raise failed(f"there is no rollback {number}: {len(self._replaced)} configurations are kept")
        return self._replaced[number - 1].tree


class Workspace(Protocol):
    """Where configuration commands work until they are committed."""

    label: str

    @property
    def tree(self) -> etree._Element:
        """The configuration with the uncommitted changes."""
        ...

    @property
    def is_dirty(self) -> bool:
        """Whether there are uncommitted changes."""
        ...

    def edit(self, config: etree._Element) -> None:
        """Apply edit-config content; all of it or, raising `RpcError`, nothing."""

    def discard(self) -> None:
        """Drop the uncommitted changes."""

    def check(self) -> None:
        """Raise `RpcError` unless the changes could be committed."""

    def commit(self, confirm_seconds: float | None) -> None:
        """Commit, for good or (with seconds) until it is confirmed by a further commit."""

    def close(self) -> None:
        """Leave the workspace."""


class SharedWorkspace:
    """The candidate datastore itself, as NETCONF sessions see it; with `exclusive` locked for this session."""

    def __init__(self, store: ConfigStore, session_id: int, *, exclusive: bool = False) -> None:
        self._store = store
        self._session_id = session_id
        self._exclusive = exclusive
        self.label = "exclusive" if exclusive else ""
        if exclusive:
            store.lock("candidate", session_id)

    @property
    def tree(self) -> etree._Element:
        """The candidate."""
        return self._store.get("candidate")

    @property
    def is_dirty(self) -> bool:
        """Whether the candidate differs from running."""
        return self._store.candidate_is_dirty

    def edit(self, config: etree._Element) -> None:
        """Edit the candidate."""
        self._store.edit("candidate", config, session_id=self._session_id, error_option="rollback-on-error")

    def discard(self) -> None:
        """Make the candidate equal running."""
        self._store.discard(self._session_id)

    def check(self) -> None:
        """Validate the candidate."""
        self._store.validate("candidate")

    def commit(self, confirm_seconds: float | None) -> None:
        """Commit the candidate."""
        commit(self._store, self._session_id, confirm_seconds)

    def close(self) -> None:
        """Unlock, which drops uncommitted changes; a shared candidate keeps them."""
        if self._exclusive and self._store.lock_holder("candidate") == self._session_id:
            self._store.unlock("candidate", self._session_id)


class PrivateWorkspace:
    """A copy of running for one session; at commit its changes are merged into what running is by then."""

    def __init__(self, store: ConfigStore, session_id: int) -> None:
        self._store = store
        self._session_id = session_id
        self.label = "private"
        self._base = self.tree = store.get("running")
        self._edits: list[etree._Element] = []

    @property
    def is_dirty(self) -> bool:
        """Whether anything was changed here."""
        return bool(self._edits)

    def edit(self, config: etree._Element) -> None:
        """Edit the copy."""
        check_payload(self._store.schema, config)
        tree = deepcopy(self.tree)
        TreeEditor(self._store.schema).apply(tree, config, "merge")
        self.tree = tree
        self._edits.append(config)

    def discard(self) -> None:
        """Start from running again."""
        self._base = self.tree = self._store.get("running")
        self._edits.clear()

    def check(self) -> None:
        """Validate what a commit would make of running."""
        config = new_config()
        for child in self._merged():
            graft(config, child)
        self._store.validate(config)

    def commit(self, confirm_seconds: float | None) -> None:
        """Put the changes through the candidate. Raises `RpcError` when somebody else is using it."""
        if self._store.candidate_is_dirty:
            raise failed("the shared configuration has uncommitted changes of somebody else")
        running = self._store.get("running")
        config = replacement(self._store.schema, running, self._merged())
        self._store.edit("candidate", config, session_id=self._session_id, error_option="rollback-on-error")
        try:
            commit(self._store, self._session_id, confirm_seconds)
        except RpcError:
            self._store.discard(self._session_id)
            raise
        self.discard()

    def close(self) -> None:
        """Nothing to release."""

    def _merged(self) -> etree._Element:
        """Running with the changes made here: as edited, or made anew when running moved meanwhile."""
        running = self._store.get("running")
        if running is self._base:
            return self.tree
        merged = deepcopy(running) if len(running) else data()
        for config in self._edits:
            TreeEditor(self._store.schema).apply(merged, config, "merge")
        return merged


def commit(store: ConfigStore, session_id: int, confirm_seconds: float | None) -> None:
    """Commit the candidate; a commit to be confirmed outlives the session, any CLI session's commit confirms it."""
    pending = store.pending_commit
    persist_id = pending.persist if pending is not None and pending.persist == _PERSIST else None
    if confirm_seconds is None:
        store.commit(session_id, persist_id=persist_id)
        _save(store, session_id)
        return
    if store.profile.confirmed_commit is None:
        raise failed("this router has no confirmed commit")
    store.commit(session_id, confirmed=True, timeout=confirm_seconds, persist=_PERSIST, persist_id=persist_id)


def _save(store: ConfigStore, session_id: int) -> None:
    """A commit by this CLI outlasts a reboot, and there is no command to save: startup follows, unless it is locked."""
    if not store.profile.startup or store.lock_holder("startup") not in {None, session_id}:
        return
    if store.get("startup") is not store.get("running"):
        store.copy("running", "startup", session_id=session_id)
