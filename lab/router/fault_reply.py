"""Owns how a scripted fault spoils a reply: warnings, garbage, padding, pieces, loss."""

from lab.router import rpc_errors
from lab.router.faults_point import Action, Fault
from lab.router.rpc_errors import RpcError

_GARBAGE = b"\x00<rpc-reply <<< this is not XML &&&"


class ReplyFaults:
    """What is to go wrong with one reply, gathered over the phases of its RPC."""

    def __init__(self) -> None:
        self.error: RpcError | None = None
        self.warnings: list[RpcError] = []
        self._lost = False
        self._garbage = False
        self._octets_each = 0
        self._octets_total = 0

    def add(self, action: Action) -> None:
        """Take an action that concerns the reply."""
        fault = action.fault
        if fault is Fault.REJECT:
            self.error = action.error or rpc_errors.failed(action.message or "rejected by a scripted fault")
        elif fault is Fault.LOCK_HELD:
            self.error = rpc_errors.lock_denied(action.session_id)
        elif fault is Fault.WARN:
            message = action.message or "a scripted warning"
            self.warnings.append(RpcError("operation-failed", message, severity="warning"))
        elif fault is Fault.SPLIT:
            self._octets_each = max(1, action.octets)
        elif fault is Fault.HUGE:
            self._octets_total = action.octets
        self._lost = self._lost or fault is Fault.LOSE_REPLY
        self._garbage = self._garbage or fault is Fault.GARBAGE

    def spoil(self, message: bytes) -> bytes | None:
        """Return the message as it is to be sent, None when it is lost."""
        if self._lost:
            return None
        if self._garbage:
            return _GARBAGE
        padding = self._octets_total - len(message)
        if padding > 0:
            head, tail = message[: message.rindex(b"<")], message[message.rindex(b"<") :]
            return b"".join((head, b"<!--", b"x" * padding, b"-->", tail))
        return message

    def pieces(self, octets: bytes) -> list[bytes]:
        """Return what to write, piece by piece."""
        size = self._octets_each or len(octets)
        return [octets[start : start + size] for start in range(0, len(octets), size)]
