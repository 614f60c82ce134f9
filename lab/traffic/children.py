"""The processes that send and receive, as the lab sees them.

Owns starting one, asking it, and its end. A child whose standard input closes ends by itself, so that nothing is left
behind by a lab that was killed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from lab.traffic.hosts import TrafficError

_ANSWER_SECONDS = 60.0
_END_SECONDS = 5.0


class Child:
    """A running child that answers a line of JSON with another."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, name: str, module: str, arguments: Mapping[str, Any]) -> tuple[Child, dict[str, Any]]:
        """Run a module and return it with what it says first; raises `TrafficError` when it cannot do its work."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            json.dumps(arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        child = cls(name, process)
        try:
            return child, await child._answer()
        except BaseException:
            await child.end()
            raise

    async def ask(self, question: object) -> dict[str, Any]:
        """Its answer; raises `TrafficError` when it has none."""
        if self._process.stdin is None or self._process.stdin.is_closing():
            raise TrafficError(f"{self._name} has ended: start another flow")
        async with self._turn:
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            return await self._answer()

    async def end(self) -> None:
        """Close its input and wait until it is gone. Idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _answer(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise TrafficError(f"{self._name} cannot be heard")
        line = await asyncio.wait_for(self._process.stdout.readline(), _ANSWER_SECONDS)
        if not line:
            raise TrafficError(f"{self._name} has ended (status {await self._process.wait()}): start another flow")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise TrafficError(f"{self._name}: {answer['error']}")
        return answer
