"""Owns fetching status lists and keeping the last good one of each: from a file, or over HTTPS under a limit.

Only addresses in the trust registry are fetched. A list that cannot be had or read leaves the last one in place until
that is stale, when verification refuses; an older list never takes the place of a newer one, or a revocation could be
undone.
"""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from controller.adapters.trust_file import TrustFile
from controller.model.errors import AccordError, ConnectionFailedError, InvalidInputError
from controller.negotiation.checks import RefusedError
from controller.negotiation.status_list import MOST_TOKEN_OCTETS, StatusList, read_status_list
from controller.ports import Clock

if TYPE_CHECKING:
    import requests

_TIMEOUT_SECONDS = 10.0
_LONGEST_SECONDS = 20.0
"""For one list, however slowly it comes."""
_CHUNK = 65_536


class StatusLists:
    """The lists of a trust registry. `get` never waits: it is what verification is given; `refresh` fetches."""

    def __init__(
        self, registry: TrustFile, clock: Clock, *, ca: Path | None = None, longest_seconds: float = _LONGEST_SECONDS
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._ca = ca
        self._longest_seconds = longest_seconds
        self._fetches: dict[str, _Fetch] = {}
        self._lists: dict[str, StatusList] = {}
        self._lock = threading.Lock()

    def get(self, address: str) -> StatusList | None:
        """The last good list of an address; whether it is stale is for the verification to say."""
        return self._lists.get(address)

    def refresh(self) -> Mapping[str, str]:
        """Fetch every list; by address, what was wrong with those that could not be had."""
        faults: dict[str, str] = {}
        for address, source in self._registry.sources.items():
            try:
                self._take(address, self._fetched(address) if source is None else _read(source))
            except RefusedError as error:
                faults[address] = str(error.refusal)
            except AccordError as error:
                faults[address] = str(error)
        return faults

    def _fetched(self, address: str) -> str:
        """In a thread that nobody waits for too long; while it hangs, no other begins."""
        fetch = self._fetches.get(address)
        if fetch is None or not fetch.is_alive():
            fetch = self._fetches[address] = _Fetch(address, self._ca)
            fetch.start()
        fetch.join(self._longest_seconds)
        if fetch.is_alive():
            raise ConnectionFailedError(f"the status list did not come within {self._longest_seconds:g} s")
        del self._fetches[address]
        if fetch.error is not None:
            raise fetch.error
        return fetch.text

    def _take(self, address: str, secured: str) -> None:
        found = read_status_list(secured, address, self._registry.trust, self._clock.now())
        with self._lock:
            known = self._lists.get(address)
            if known is not None and found.good_from < known.good_from:
                raise InvalidInputError("the list is older than the one that was read before", path=address)
            self._lists[address] = found


class _Fetch(threading.Thread):
    """One fetch; once it has ended there is its `text` or its `error`."""

    def __init__(self, address: str, ca: Path | None) -> None:
        super().__init__(name=f"fetch {address}", daemon=True)
        self._address, self._ca = address, ca
        self.text = ""
        self.error: AccordError | None = None

    def run(self) -> None:
        """Fetch it."""
        try:
            self.text = fetch(self._address, self._ca)
        except AccordError as error:
            self.error = error


def fetch(address: str, ca: Path | None = None) -> str:
    """The text at an HTTPS address: no redirects, no proxy of the environment's, no more than a list may have."""
    import requests  # most daemons ask nobody for lists
    from urllib3.exceptions import HTTPError

    if not address.startswith("https://"):
        raise InvalidInputError("a status list is fetched over HTTPS", path=address)
    until = time.monotonic() + _LONGEST_SECONDS
    try:
        with requests.Session() as session:
            session.trust_env = False
            with session.get(
                address,
                timeout=_TIMEOUT_SECONDS,
                stream=True,
                allow_redirects=False,
                verify=str(ca) if ca else True,
                headers={"Accept": "application/vc+jwt", "Accept-Encoding": "identity"},
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    raise ConnectionFailedError(
                        f"the status list was not given: HTTP {answer.status_code}", path=address
                    )
                return _limited(answer, address, until)
    # What goes wrong while the body comes, comes from below `requests`.
    except (requests.RequestException, HTTPError, OSError) as error:
        raise ConnectionFailedError(
            f"the status list cannot be fetched: {type(error).__name__}", path=address
        ) from error


def _limited(answer: "requests.Response", address: str, until: float) -> str:
    text = bytearray()
    while chunk := answer.raw.read1(_CHUNK, decode_content=False):
        text += chunk
        if len(text) > MOST_TOKEN_OCTETS:
            raise InvalidInputError(f"the status list is over {MOST_TOKEN_OCTETS} octets", path=address)
        if time.monotonic() > until:
            raise ConnectionFailedError(f"the status list did not come within {_LONGEST_SECONDS:g} s", path=address)
    return text.decode("ascii", "replace").strip()


def _read(source: Path) -> str:
    try:
        if source.stat().st_size > MOST_TOKEN_OCTETS:
            raise InvalidInputError(f"the status list is over {MOST_TOKEN_OCTETS} octets", path=str(source))
        return source.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise InvalidInputError(f"cannot read the status list: {error.strerror}", path=str(source)) from error
