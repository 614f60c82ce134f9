"""Whatever the shape of an L3SM document, a change is decided or refused with a path; nothing else escapes."""

import copy
from typing import Any

import pytest

from controller.mapping.service import L3smState
from controller.mapping.service_change import L3smEdit
from controller.model.errors import InvalidInputError, NotSupportedError
from tests.controller.l3sm_rich_instances import INSTANCES, Instance
from tests.controller.mapping_samples import access, edit, network, service, site
from tests.controller.test_l3sm_every_leaf import get

WRONG: tuple[Any, ...] = (None, 7, "x", True, [], {}, [7], [None], ["x"], {"x": 1}, [{}], -1, "-1", "\u0660")


def nodes(document: Any, at: tuple[Any, ...] = ()) -> Any:
    """Every node below a document, containers and lists too."""
    if at:
        yield at
    if isinstance(document, dict):
        for name, value in document.items():
            yield from nodes(value, (*at, name))
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from nodes(value, (*at, index))


@pytest.mark.parametrize("instance", INSTANCES, ids=lambda instance: instance.name)
def test_any_node_may_hold_nonsense_and_only_an_input_error_comes_out(instance: Instance) -> None:
    services = [doc for doc in instance.documents if "vpn-id" in doc]
    sites = [doc for doc in instance.documents if "site-id" in doc]
    whole = {
        "services": {doc["vpn-id"]: doc for doc in services},
        "sites": {doc["site-id"]: doc for doc in sites},
        "profiles": instance.profiles,
    }
    for position, at in enumerate(at for at in nodes(whole) if len(at) > 1):
        for wrong in WRONG[position % 5 :: 5]:
            copied = copy.deepcopy(whole)
            get(copied, at[:-1])[at[-1]] = wrong
            assert refusal_path(copied, instance) != "", (at, wrong)


def refusal_path(whole: Any, instance: Instance) -> str | None:
    """The path a change is refused at; None when it is decided."""
    try:
        L3smState().change(
            L3smEdit(upserted_services=whole["services"], upserted_sites=whole["sites"], profiles=whole["profiles"]),
            instance.on,
        )
    except InvalidInputError as error:
        return error.path
    return None


def test_a_node_nobody_knows_is_refused_with_its_path() -> None:
    strange = site("l", "London", "GB", access(1, colour="blue"))
    with pytest.raises(NotSupportedError, match="no effect where it stands") as refusal:
        L3smState().change(edit(service(), strange), network())
    assert refusal.value.path.endswith("/site-network-access[site-network-access-id='a1']/colour")


def test_a_key_that_is_not_its_entrys_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="the entry's key is 'b'"):
        L3smState().change(L3smEdit(upserted_services={"b": service("a")}), network())
