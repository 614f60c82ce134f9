"""Owns whose turn it is: one thing at a time about each negotiation, and nothing kept of one nobody waits for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


@dataclass(slots=True)
class Turns:
    """A lock for each name that somebody holds or waits for; names come from outside, so none is kept for longer."""

    _turns: dict[str, _Turn] = field(default_factory=dict)

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for the turn of this name, and have it."""
        turn = self._turns.setdefault(name, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[name]

    def __contains__(self, name: object) -> bool:
        return name in self._turns

    def __len__(self) -> int:
        return len(self._turns)
