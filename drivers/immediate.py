"""Owns what a session without a candidate has no use for: the steps of a two-phase commit, each refused by name."""

from collections.abc import AsyncIterator, Sequence
from typing import NoReturn

from controller.model.errors import ConnectionFailedError, NotSupportedError
from controller.model.identifiers import DeviceName, TransactionId
from controller.ports import DeviceTarget, Warnings


class ImmediateSession:
    """The half of `DeviceSession` that devices of class `IMMEDIATE` lack; `apply` does it all. `lacks` says why."""

    lacks = "there is no candidate"

    def __init__(self, target: DeviceTarget) -> None:
        self._target = target
        self._closed = False

    @property
    def device(self) -> DeviceName:
        """Whose session this is."""
        return self._target.name

    async def lock(self) -> None:
        """Nothing to lock; fails when the session is closed."""
        self._must_be_open()

    def foresee(self, *, validate: bool = False, read: Sequence[str] | None = None) -> None:
        """Nothing is sent ahead: the next request waits for the answer."""

    async def push(self, filters: Sequence[str], period_seconds: float) -> AsyncIterator[bytes]:  # noqa: ARG002  # the port's signature
        """Refused."""
        raise NotSupportedError("nothing is pushed this way", tag="operation-not-supported", device=self.device)

    async def release(self) -> None:
        """Nothing was taken."""

    async def prepare(self, edit: bytes) -> Warnings:  # noqa: ARG002  # the port's signature
        """Refused."""
        self._refuse("prepare")

    async def validate(self) -> Warnings:
        """Refused."""
        self._refuse("validate")

    async def commit_tentative(self, persist: TransactionId, timeout_seconds: float) -> Warnings:  # noqa: ARG002  # the port's signature
        """Refused."""
        self._refuse("confirmed commit")

    async def confirm(self, persist: TransactionId) -> None:  # noqa: ARG002  # the port's signature
        """Refused."""
        self._refuse("confirm")

    async def cancel(self, persist: TransactionId) -> None:  # noqa: ARG002  # the port's signature
        """Refused."""
        self._refuse("cancel")

    async def commit_now(self) -> Warnings:
        """Refused."""
        self._refuse("commit")

    def _must_be_open(self) -> None:
        if self._closed:
            raise ConnectionFailedError("the session is closed", device=self.device)

    def _refuse(self, what: str) -> NoReturn:
        raise NotSupportedError(f"{self.lacks}, so no {what}", tag="operation-not-supported", device=self.device)
