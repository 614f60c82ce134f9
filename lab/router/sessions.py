"""Owns the list of a router's management sessions, over every protocol."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from lab.router.datastore import ConfigStore


@dataclass(slots=True)
class Session:
    """One session; the counters are those of ietf-netconf-monitoring."""

    session_id: int
    username: str
    transport: str
    source_host: str
    login_time: datetime
    drop: Callable[[], None]
    in_rpcs: int = 0
    in_bad_rpcs: int = 0
    out_rpc_errors: int = 0
    out_notifications: int = 0


class Sessions:
    """The router's management sessions; numbers are never reused."""

    def __init__(self, store: ConfigStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now
        self._sessions: dict[int, Session] = {}
        self._last = 0

    def __iter__(self) -> Iterator[Session]:
        return iter(tuple(self._sessions.values()))

    def open(self, username: str, transport: str, drop: Callable[[], None], *, source_host: str = "127.0.0.1") -> int:
        """Register a session (`drop` cuts its connection) and return its session-id."""
        self._last += 1
        session = Session(self._last, username, transport, source_host, self._now(), drop)
        self._sessions[self._last] = session
        self._store.session_opened(self._last, username)
        return self._last

    def get(self, session_id: int) -> Session | None:
        """Return a live session."""
        return self._sessions.get(session_id)

    def close(self, session_id: int) -> None:
        """Unregister: the datastore forgets it (locks, unpersisted confirmed commit). Harmless when gone."""
        if self._sessions.pop(session_id, None) is not None:
            self._store.session_closed(session_id)

    def kill(self, session_id: int) -> bool:
        """Cut a session's connection and forget it; False when there is none of that number."""
        session = self._sessions.get(session_id)
        if session is None:
            return False
        self.close(session_id)
        session.drop()
        return True

    def drop_all(self) -> None:
        """Cut every connection without the datastore being told: the router loses power."""
        dropped = list(self._sessions.values())
        self._sessions.clear()
        for session in dropped:
            session.drop()
