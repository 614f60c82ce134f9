"""Owns the way to parties in other processes: one HTTPS POST a message, certificates on both sides (`ports.Peers`).

A party that answers slowly, endlessly, or not at all keeps only its own messages waiting: each has a few threads of its
own, which nobody waits for when the process ends, and of an answer no more is read than is told.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from controller.model.errors import AccordError, ConnectionFailedError, InvalidInputError, NotFoundError
from controller.negotiation.messages import MessageCheck, MessageRefusedError

_TIMEOUT_SECONDS = 15.0
_LONGEST_SECONDS = 30.0
"""For one message, however slowly it is answered."""
_AT_ONCE = 4
_MOST_TOLD = 300
_PATH = "/peer/v1/messages"


@dataclass(frozen=True, slots=True)
class PeersOverHttps:
    """`urls` by party; `certificate` and `key` are shown, `ca` is whose certificates are believed. All in PEM."""

    urls: Mapping[str, str]
    certificate: Path
    key: Path
    ca: Path
    longest_seconds: float = _LONGEST_SECONDS
    _lanes: dict[str, asyncio.Semaphore] = field(default_factory=dict)

    async def deliver(self, party: str, token: str) -> None:
        """Hand a message over; see `Peers`."""
        url = self.urls.get(party)
        if url is None:
            raise NotFoundError(f"there is no way to the party '{party}'", remedy="give it a url", path=party)
        try:
            async with asyncio.timeout(self.longest_seconds):
                await self._lanes.setdefault(party, asyncio.Semaphore(_AT_ONCE)).acquire()
                await self._begun(url, party, token)
        except TimeoutError as error:
            raise ConnectionFailedError(f"'{party}' does not answer", path=party) from error

    def _begun(self, url: str, party: str, token: str) -> "asyncio.Future[None]":
        """The message is on its way in a thread, which has its place until it ends, also when nobody waits any more."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def over(error: Exception | None) -> None:
            self._lanes[party].release()
            if not done.done():
                done.set_result(None) if error is None else done.set_exception(error)

        def work() -> None:
            failed: Exception | None = None
            try:
                self._post(url, party, token)
            except AccordError as error:
                failed = error
            except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
                failed = ConnectionFailedError(f"'{party}' cannot be reached: {type(error).__name__}", path=party)
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                loop.call_soon_threadsafe(over, failed)

        threading.Thread(target=work, name=f"to {party}", daemon=True).start()
        return done

    def _post(self, url: str, party: str, token: str) -> None:
        import requests  # most daemons have no parties elsewhere

        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url.rstrip("/") + _PATH,
                data=token.encode(),
                headers={"Content-Type": "application/jose", "X-Party": party, "Accept-Encoding": "identity"},
                cert=(str(self.certificate), str(self.key)),
                verify=str(self.ca),
                timeout=_TIMEOUT_SECONDS,
                allow_redirects=False,
                stream=True,
            ) as answer:
                status = answer.status_code
                is_no = status == requests.codes.unprocessable_entity
                told = answer.raw.read1(_MOST_TOLD, decode_content=False) if is_no else b""
                check = answer.headers.get("X-Check", "")
        if is_no:
            text = f"'{party}' turned a message away: {told.decode('utf-8', 'replace')!a}"
            if check in set(MessageCheck):
                raise MessageRefusedError(text, check=MessageCheck(check), path=party)
            raise InvalidInputError(text, path=party)
        if status != requests.codes.accepted:
            raise ConnectionFailedError(f"'{party}' answered {status}", path=party)
