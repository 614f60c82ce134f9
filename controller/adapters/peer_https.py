"""Owns the way to parties in other processes: one HTTPS POST a message, certificates on both sides (`ports.Peers`)."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.model.errors import ConnectionFailedError, InvalidInputError, NotFoundError

_TIMEOUT_SECONDS = 15.0
_PATH = "/peer/v1/messages"


@dataclass(frozen=True, slots=True)
class PeersOverHttps:
    """`urls` by party; `certificate` and `key` are shown, `ca` is whose certificates are believed. All in PEM."""

    urls: Mapping[str, str]
    certificate: Path
    key: Path
    ca: Path

    async def deliver(self, party: str, token: str) -> None:
        """Hand a message over; see `Peers`."""
        url = self.urls.get(party)
        if url is None:
            raise NotFoundError(f"there is no way to the party '{party}'", remedy="give it a url", path=party)
        await asyncio.to_thread(self._post, url, party, token)

    def _post(self, url: str, party: str, token: str) -> None:
        import requests  # most daemons have no parties elsewhere

        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    url.rstrip("/") + _PATH,
                    data=token.encode(),
                    headers={"Content-Type": "application/jose", "X-Party": party},
                    cert=(str(self.certificate), str(self.key)),
                    verify=str(self.ca),
                    timeout=_TIMEOUT_SECONDS,
                    allow_redirects=False,
                )
        except requests.RequestException as error:
            raise ConnectionFailedError(f"'{party}' cannot be reached: {type(error).__name__}", path=party) from error
        if answer.status_code == requests.codes.unprocessable_entity:
            raise InvalidInputError(f"'{party}' turned a message away: {answer.text[:300]}", path=party)
        if answer.status_code != requests.codes.accepted:
            raise ConnectionFailedError(f"'{party}' answered {answer.status_code}", path=party)
