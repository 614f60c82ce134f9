"""RFC 8040's operations on a document: what they change, what they share, and what they refuse."""

import copy
from functools import cache
from typing import Any

import pytest

from controller.adapters.yang_schema import load_schema
from controller.datastore.schema import SchemaNode
from controller.model.errors import ConflictError, InvalidInputError
from controller.northbound import restconf_tree as tree
from controller.northbound.restconf import entity_tag
from controller.northbound.restconf_edit import created, document_of, edit_between, top_of, visible_to, written
from controller.northbound.restconf_path import Step, format_url, parse
from controller.northbound.restconf_problem import RefusedError
from tests.controller import mapping_samples as samples

ROOT = b"ietf-l3vpn-svc:l3vpn-svc"


@cache
def top() -> SchemaNode:
    return top_of(load_schema(("ietf-l3vpn-svc",)))


def at(path: bytes) -> tuple[Step, ...]:
    return parse(ROOT + path, top())


def document() -> dict[str, Any]:
    state, _ = samples.make(samples.two_sites())
    return document_of(state)


def site_ids(found: dict[str, Any]) -> list[str]:
    return [site["site-id"] for site in found["l3vpn-svc"]["sites"]["site"]]


@pytest.mark.parametrize("key", ["London/1", "100%", "a,b", "a=b", "ä ö", "a;b", "a?b", "a#b", "..", "a:b", "a b+c"])
def test_a_key_of_any_characters_survives_the_url(key: str) -> None:
    steps = at(b"/sites/site=x")
    url = format_url((*steps[:-1], Step(steps[-1].node, (key,))))
    assert parse(url.encode().removeprefix(b"/restconf/data"), top())[-1].keys == (key,)


@pytest.mark.parametrize(
    "path", [b"/sites/site=a,b", b"/sites/site/site-id", b"/sites=1", b"/sites/site=%ff", b"/sites" + b"/x" * 100]
)
def test_a_path_that_says_nothing_clear_is_refused(path: bytes) -> None:
    with pytest.raises(InvalidInputError):
        at(path)


@pytest.mark.parametrize("path", [b"/nothing", b"/sites/other:site=a", b"/sites/site=a/nothing"])
def test_a_node_that_the_model_lacks_is_not_found(path: bytes) -> None:
    with pytest.raises(RefusedError) as refused:
        at(path)
    assert refused.value.status == 404


def test_the_top_level_needs_its_module() -> None:
    with pytest.raises(RefusedError):
        parse(b"l3vpn-svc", top())


def test_a_change_shares_what_it_does_not_touch_and_changes_nothing_in_place() -> None:
    before = document()
    kept = copy.deepcopy(before)
    london, other = site_ids(before)
    after = written(
        before,
        "PUT",
        at(f"/sites/site={london}/site-vpn-flavor".encode()),
        {"ietf-l3vpn-svc:site-vpn-flavor": "site-vpn-flavor-multi"},
    )
    assert before == kept
    untouched = at(f"/sites/site={other}".encode())
    assert tree.find(after, untouched) is tree.find(before, untouched)
    edit = edit_between(before, after)
    assert (list(edit.upserted_sites), edit.upserted_services, edit.profiles) == ([london], {}, None)


def test_what_was_put_and_deleted_leaves_the_document_as_it_was() -> None:
    before = document()
    site = samples.site("new", "Rome", "IT", samples.access(9))
    after = written(before, "PUT", at(b"/sites/site=new"), {"ietf-l3vpn-svc:site": [site]})
    assert site_ids(after)[-1] == "new"
    again = written(after, "DELETE", at(b"/sites/site=new"), None)
    assert again == before
    assert not edit_between(before, again)
    assert edit_between(after, again).deleted_sites == ("new",)


def test_a_container_comes_with_its_first_child_and_goes_with_its_last() -> None:
    first = written({}, "PUT", at(b"/vpn-services/vpn-service=a"), {"vpn-service": [{"vpn-id": "a"}]})
    assert first == {"l3vpn-svc": {"vpn-services": {"vpn-service": [{"vpn-id": "a"}]}}}
    assert written(first, "DELETE", at(b"/vpn-services/vpn-service=a"), None) == {}


def test_post_creates_one_entry_and_says_where() -> None:
    after, path = created(document(), at(b"/vpn-services"), {"vpn-service": [{"vpn-id": "b/1"}]}, top())
    assert format_url(path).endswith("/vpn-services/vpn-service=b%2F1")
    with pytest.raises(ConflictError) as there:
        created(after, at(b"/vpn-services"), {"vpn-service": [{"vpn-id": "b/1"}]}, top())
    assert there.value.tag == "data-exists"


def test_patch_merges_lists_by_key_and_leaf_lists_by_value() -> None:
    before = document()
    london = site_ids(before)[0]
    access = {"site-network-access-id": "a1", "service": {"svc-mtu": 1234}}
    body = {
        "ietf-l3vpn-svc:site": [
            {"ietf-l3vpn-svc:site-id": london, "site-network-accesses": {"site-network-access": [access]}}
        ]
    }
    after = written(before, "PATCH", at(f"/sites/site={london}".encode()), body)
    old, new = (
        tree.find(doc, at(f"/sites/site={london}/site-network-accesses/site-network-access=a1".encode()))
        for doc in (before, after)
    )
    assert new == {**old, "service": {**old["service"], "svc-mtu": 1234}}


def test_an_identity_is_found_with_and_without_its_module() -> None:
    site = samples.site("s", "Rome", "IT", samples.access(1)) | {
        "routing-protocols": {"routing-protocol": [samples.static(("10.9.0.0/24", "10.0.1.2"))]}
    }
    doc = {"l3vpn-svc": {"sites": {"site": [site]}}}
    for key in (b"static", b"ietf-l3vpn-svc:static"):
        found = tree.find(doc, at(b"/sites/site=s/routing-protocols/routing-protocol=" + key))
        assert found == samples.static(("10.9.0.0/24", "10.0.1.2"))


@pytest.mark.parametrize(
    "path, body",
    [
        (b"/sites/site=a", {"site": [{"site-id": "a"}, {"site-id": "b"}]}),
        (b"/sites/site=a", {"site": [{"site-id": "a", "colour": 1}]}),
        (b"/sites/site=a", {"site": [{"site-id": "a", "ietf-l3vpn-svc:site-id": "a"}]}),
        (b"/sites/site=a", {"site": ["a"]}),
        (b"/sites/site=a", {"site": []}),
        (b"/sites", {"sites": {"site": [{"site-id": "a"}, {"site-id": "a"}]}}),
        (b"/sites", {"sites": {"site": {"site-id": "a"}}}),
        (b"/sites", {"sites": []}),
        (b"/sites", {"sites": {"site": [{"site-id": {"a": 1}}]}}),
        (b"/sites", {"sites": {}, "more": 1}),
        (b"/sites", None),
        (b"/sites", "text"),
    ],
)
def test_a_body_of_another_shape_is_refused(path: bytes, body: object) -> None:
    with pytest.raises(InvalidInputError):
        written({}, "PUT", at(path), body)


def test_entity_tags_follow_the_content_and_not_the_order_of_members() -> None:
    assert entity_tag({"a": 1, "b": [1, 2]}) == entity_tag({"b": [1, 2], "a": 1})
    assert entity_tag({"a": 1}) != entity_tag({"a": "1"})
    assert entity_tag([1, 2]) != entity_tag([2, 1])


def test_who_reaches_some_services_sees_those_and_their_sites_only() -> None:
    state, _ = samples.make(samples.two_sites())
    (vpn_id,) = state.services
    assert visible_to(document_of(state), state, {vpn_id: True}) == document_of(state)
    assert visible_to(document_of(state), state, {vpn_id: False}) == {}
