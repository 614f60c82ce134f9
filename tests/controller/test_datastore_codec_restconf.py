"""YANG Patch bodies (RFC 8072) and data-resource identifiers (RFC 8040): their shape, their encoding, and that a lab
router makes of them what was meant.
"""

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from lxml import etree

from controller.datastore.codec_restconf import RestconfCodec, resource
from controller.datastore.diff import Change, diff, inverse
from controller.model.errors import InvalidInputError
from controller.model.yang_path import Path, Step
from lab.router.json_codec import JsonCodec
from lab.router.restconf_target import Target
from lab.router.restconf_uri import parse_api_path
from lab.router.xml import data, serialise
from lab.router.yang_patch import apply_patch, read_patch
from tests.controller.datastore_samples import PROBE, TEXT, configs, entry, leaf, port, probe_schema, rule
from tests.controller.test_datastore_codec_xml import router_schema

PATCH = "{urn:ietf:params:xml:ns:yang:ietf-yang-patch}"


def codec() -> RestconfCodec:
    return RestconfCodec(probe_schema())


def edits_of(body: bytes) -> list[tuple[str, str]]:
    found = etree.fromstring(body).findall(f"{PATCH}edit")
    return [(edit.findtext(f"{PATCH}operation") or "", edit.findtext(f"{PATCH}target") or "") for edit in found]


def patched(tree: etree._Element, body: bytes) -> etree._Element:
    """What a router's running configuration is after the patch."""
    lab = JsonCodec(router_schema())
    return apply_patch(lab, Target(router_schema(), ()), tree, read_patch(lab, body, "xml"))


@pytest.mark.parametrize(
    "path, identifier",
    [
        (leaf("small"), "lab-probe:top/small"),
        (leaf("extra", module="lab-probe-extra"), "lab-probe:top/lab-probe-extra:extra"),
        (entry("eth/0"), "lab-probe:top/entry=eth%2F0"),
        (entry("100%"), "lab-probe:top/entry=100%25"),
        (entry("a,b=c:d"), "lab-probe:top/entry=a%2Cb%3Dc%3Ad"),
        (entry("é ü"), "lab-probe:top/entry=%C3%A9%20%C3%BC"),
        (rule("z", "7"), "lab-probe:top/rule=z,7"),
        (rule("", "7"), "lab-probe:top/rule=,7"),
        (port("80"), "lab-probe:top/port=80"),
        ((), ""),
    ],
)
def test_a_resource_is_named_as_rfc_8040_says(path: Path, identifier: str) -> None:
    assert resource(path) == identifier


@given(TEXT, TEXT)
def test_any_key_can_be_read_out_of_the_identifier(zone: str, name: str) -> None:
    steps = parse_api_path(resource((*rule(zone, "7"), Step("lab-probe", "action"))))
    assert [step.keys for step in steps] == [None, (zone, "7"), None]
    assert unquote(resource(entry(name)).partition("=")[2]) == name


def test_a_patch_deletes_first_and_then_merges_once_for_each_top_level_node() -> None:
    base = {entry("x/y"): "", (*entry("x/y"), Step("lab-probe", "note")): "n", port("1"): "", leaf("small"): "1"}
    target = {entry("z"): "", leaf("small"): "2"}
    body = codec().encode_edit(diff(base, target))
    assert edits_of(body) == [
        ("delete", "/lab-probe:top/entry=x%2Fy"),
        ("delete", "/lab-probe:top/port=1"),
        ("merge", "/lab-probe:top"),
    ]
    root = etree.fromstring(body)
    assert root.tag == f"{PATCH}yang-patch"
    assert root.findtext(f"{PATCH}patch-id")
    names = [edit.findtext(f"{PATCH}edit-id") for edit in root.findall(f"{PATCH}edit")]
    assert len(set(names)) == len(names) == 3
    (value,) = root.findall(f".//{PATCH}value")
    assert [child.tag for child in value] == [f"{{{PROBE}}}top"]
    assert b"operation" not in etree.tostring(value)


def test_a_patch_that_only_deletes_merges_nothing() -> None:
    assert edits_of(codec().encode_edit(diff({leaf("small"): "1"}, {}))) == [("delete", "/lab-probe:top/small")]


@given(configs(), configs())
@settings(max_examples=50)
def test_a_router_that_carries_out_a_patch_holds_the_target_and_after_the_reverse_the_base(
    base: dict[Path, str], target: dict[Path, str]
) -> None:
    tree = patched(data(), codec().encode_edit(diff({}, base))) if base else data()
    edit = diff(base, target)
    assert codec().decode(serialise(tree)) == base
    if edit:
        there = patched(tree, codec().encode_edit(edit))
        assert codec().decode(serialise(there)) == target
        back = patched(there, codec().encode_edit(inverse(edit)))
        assert codec().decode(serialise(back)) == base


def test_what_is_read_are_the_top_level_resources_once_each() -> None:
    assert codec().encode_filters([entry("a"), leaf("small"), leaf("feature")]) == ("lab-probe:top",)
    assert codec().encode_filters([]) == ()


def test_a_path_that_the_schema_lacks_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="nothing"):
        codec().encode_edit((Change((Step("lab-probe", "nothing"),), None, "1"),))
