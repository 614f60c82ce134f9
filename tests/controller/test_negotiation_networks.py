"""What is sold of the network before and after an optical domain has told which links are over its light."""

from types import SimpleNamespace

import pytest

from controller.model.errors import ConnectionFailedError
from controller.model.identifiers import DeviceName
from controller.runtime import negotiation_networks
from controller.runtime.negotiation_networks import sold_networks


async def test_nothing_is_sold_until_the_domain_has_told_which_links_are_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(negotiation_networks, "optical_domain_of", lambda _: DeviceName("light"))

    async def read(_name: DeviceName) -> None:
        raise ConnectionFailedError("no answer")

    controller = SimpleNamespace(optical=SimpleNamespace(read=read))
    assert await sold_networks(controller, None) == ({}, None)  # type: ignore[arg-type]  # what is asked of it
