"""Owns the locks on a router's datastores (RFC 6241 section 7.5)."""

from lab.router import rpc_errors
from lab.router.rpc_errors import RpcError


class Locks:
    """Who holds which datastore."""

    def __init__(self) -> None:
        self._holders: dict[str, int] = {}

    def holder(self, datastore: str) -> int | None:
        """Return the session-id holding a datastore."""
        return self._holders.get(datastore)

    def take(self, datastore: str, session_id: int) -> None:
        """Lock. Raises lock-denied when anyone, the asking session included, holds it."""
        holder = self._holders.get(datastore)
        if holder is not None:
            raise rpc_errors.lock_denied(holder)
        self._holders[datastore] = session_id

    def release(self, datastore: str, session_id: int) -> None:
        """Unlock. Raises operation-failed when it is not this session's lock."""
        if self._holders.get(datastore) != session_id:
            raise RpcError("operation-failed", f"session {session_id} has no lock on {datastore}", type="protocol")
        del self._holders[datastore]

    def held_by(self, session_id: int) -> tuple[str, ...]:
        """Return the datastores a session holds."""
        return tuple(name for name, holder in self._holders.items() if holder == session_id)

    def require_free(self, datastore: str, session_id: int) -> None:
        """Refuse to change what another session has locked."""
        holder = self._holders.get(datastore)
        if holder not in {None, session_id}:
            raise rpc_errors.in_use(f"datastore {datastore}", holder or 0)

    def clear(self) -> None:
        """Forget every lock."""
        self._holders.clear()
