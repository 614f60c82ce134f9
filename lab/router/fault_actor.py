"""Owns acting out scripted faults around one RESTCONF request or CLI command (the seam is `faults_point`)."""

import asyncio

from lab.router.faults_point import Action, Fault, Phase
from lab.router.managed import ManagedRouter
from lab.router.rpc_errors import failed, lock_denied

_GARBAGE = "\x00\ufffd<<!garbage!>>\x1b[0m"


class DroppedError(Exception):
    """The connection must be cut now, without an answer."""


class SilencedError(Exception):
    """No answer must be sent, the connection stays open."""


class FaultActor:
    """The faults of one exchange: `at` acts out what happens at a phase, and keeps what changes the reply for later."""

    def __init__(self, router: ManagedRouter, rpc: str) -> None:
        self._router = router
        self._rpc = rpc
        self._reply_actions: list[Action] = []

    async def at(self, phase: Phase) -> None:
        """Act out this phase's fault.

        Raises `DroppedError`, `SilencedError`, or `RpcError` for an answer that refuses.
        """
        point = self._router.faults
        if point is None or not point.armed(self._router.name):
            return
        action = await point.around(self._router.name, self._rpc, phase)
        if action is not None:
            await self._act(action)

    async def _act(self, action: Action) -> None:
        if action.fault is Fault.DELAY:
            await asyncio.sleep(action.seconds)
        elif action.fault is Fault.CLOSE:
            raise DroppedError
        elif action.fault is Fault.HANG:
            raise SilencedError
        elif action.fault is Fault.REJECT:
            raise action.error or failed(action.message or "rejected by a scripted fault")
        elif action.fault is Fault.LOCK_HELD:
            raise lock_denied(action.session_id)
        elif action.fault is Fault.REBOOT:
            # Not awaited: the reboot cuts the very session that this runs in.
            _REBOOTS.add(task := asyncio.ensure_future(self._router.reboot()))
            task.add_done_callback(_REBOOTS.discard)
            raise DroppedError
        else:
            self._reply_actions.append(action)

    def check_reply(self) -> None:
        """Raises `SilencedError` when the reply is to be lost."""
        if self._has(Fault.LOSE_REPLY):
            raise SilencedError

    def shaped(self, body: str) -> str:
        """The reply's text, replaced by garbage or padded where a fault says so."""
        if self._has(Fault.GARBAGE):
            return _GARBAGE
        for action in self._reply_actions:
            if action.fault is Fault.HUGE:
                body += " " * max(0, action.octets - len(body))
        return body

    @property
    def warning(self) -> str | None:
        """The warning to give beside the result."""
        texts = [action.message or "a scripted warning" for action in self._reply_actions if action.fault is Fault.WARN]
        return "; ".join(texts) or None

    @property
    def piece_octets(self) -> int | None:
        """The size of the pieces to send the reply in."""
        sizes = [action.octets for action in self._reply_actions if action.fault is Fault.SPLIT and action.octets > 0]
        return sizes[0] if sizes else None

    def _has(self, fault: Fault) -> bool:
        return any(action.fault is fault for action in self._reply_actions)


_REBOOTS: set[asyncio.Future[None]] = set()
"""Keeps running reboots from being collected."""
