"""The schema that pyang reads is the one the codec and the diff need."""

import os
from pathlib import Path

import pytest

from controller.adapters import yang_schema
from controller.adapters.resources import shared_directory, standard_yang_directories
from controller.adapters.yang_schema import PROFILE_MODULES, default_search_path, load_schema
from controller.datastore.schema import NodeKind, Schema, SchemaNode
from controller.model.errors import InvalidInputError, NotFoundError
from controller.model.yang_path import parse_path

TYPES = """
module types {
  yang-version 1.1; namespace "urn:types"; prefix ty; revision 2026-01-01;
  identity shape; identity round { base shape; }
  typedef percent { type uint8 { range "0..100"; } default 50; }
  typedef outer { type percent; }
  typedef figure { type identityref { base shape; } default round; }
}
"""
BOX = """
module box {
  yang-version 1.1; namespace "urn:box"; prefix b;
  import types { prefix t; }
  revision 2026-01-01;
  feature lid;
  identity round { base t:shape; }
  container box {
    presence "there is one";
    leaf fill { type t:outer; }
    leaf figure { type t:figure; }
    leaf lid { if-feature lid; type empty; }
    leaf copy { type leafref { path "../again"; } }
    leaf again { type leafref { path "../item/size"; } }
    leaf many { type union { type uint8; type string; } }
    leaf seen { config false; type counter; }
    typedef counter { type uint64; }
    leaf-list tag { ordered-by user; min-elements 1; type string; }
    list item { key "name size"; ordered-by user; leaf name { type string; } leaf size { type t:percent; } }
    list log { config false; leaf text { type string; } }
    choice way { case left { container left { } } leaf right { type boolean; mandatory true; } }
    action shake { }
  }
  rpc open { }
  notification opened { }
}
"""
LABEL = """
module label {
  yang-version 1.1; namespace "urn:label"; prefix l;
  import box { prefix b; }
  augment "/b:box/b:way" { case glued { leaf text { type string; default "none"; } } }
  augment "/b:box" { container label { leaf colour { type string; } } }
}
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name, text in {"types": TYPES, "box": BOX, "label": LABEL}.items():
        (tmp_path / f"{name}.yang").write_text(text)
    return tmp_path


def box_of(schema: Schema) -> SchemaNode:
    return schema.node(parse_path("/box:box"))


def test_every_kind_of_statement_is_read(directory: Path) -> None:
    box = box_of(load_schema(["box"], [str(directory)]))
    assert box.is_presence
    leaves = {name: node for (_, name), node in box.children.items()}
    assert list(leaves) == [
        "fill", "figure", "lid", "copy", "again", "many", "seen", "tag", "item", "log", "left", "right",
    ]  # fmt: skip
    assert leaves["fill"].type == "uint8"
    assert leaves["fill"].default == "50"
    assert leaves["figure"].default == "types:round"
    assert leaves["lid"].type == "empty"
    assert leaves["copy"].type == leaves["again"].type == "uint8"
    assert leaves["many"].type == "union"
    assert not leaves["seen"].is_config
    assert leaves["tag"].kind is NodeKind.LEAF_LIST
    assert leaves["tag"].is_user_ordered
    assert leaves["tag"].mandatory
    assert leaves["item"].keys == ("name", "size")
    assert leaves["item"].is_user_ordered
    assert leaves["log"].keys == ()
    assert not leaves["log"].children["box", "text"].is_config
    assert leaves["right"].mandatory


def test_augments_of_implemented_modules_carry_their_own_module_name(directory: Path) -> None:
    box = box_of(load_schema(["box", "label"], [str(directory)]))
    assert box.children["label", "text"].default == "none"
    assert box.children["label", "label"].children["label", "colour"].type == "string"
    assert ("label", "label") not in box_of(load_schema(["box"], [str(directory)])).children


def test_a_feature_that_is_off_removes_its_nodes(directory: Path) -> None:
    box = box_of(load_schema(["box"], [str(directory)], features={"box": []}))
    assert ("box", "lid") not in box.children


def test_namespaces_and_identities_cover_imports_and_the_first_module_asked_for_wins(directory: Path) -> None:
    schema = load_schema(["box"], [str(directory)])
    assert schema.namespaces == {"box": "urn:box", "types": "urn:types"}
    assert schema.modules == {"urn:box": "box", "urn:types": "types"}
    assert schema.identities == {"shape": "types", "round": "box"}


def test_the_same_set_is_parsed_once(directory: Path) -> None:
    assert load_schema(["box"], [str(directory)]) is load_schema(["box"], [str(directory)])


def test_a_missing_module_is_named(directory: Path) -> None:
    with pytest.raises(NotFoundError, match="no-such"):
        load_schema(["no-such"], [str(directory)])
    (directory / "lost.yang").write_text('module lost { namespace "urn:lost"; prefix x; import gone { prefix g; } }')
    with pytest.raises(NotFoundError, match="gone"):
        load_schema(["lost"], [str(directory)])


def test_a_module_that_does_not_compile_is_refused_with_its_line(directory: Path) -> None:
    (directory / "bad.yang").write_text('module bad {\n namespace "urn:bad"; prefix x;\n leaf a { type nothing; }\n}')
    with pytest.raises(InvalidInputError, match=r"bad\.yang:3.*nothing"):
        load_schema(["bad"], [str(directory)])


def test_a_revision_can_be_asked_for(directory: Path) -> None:
    old = BOX.replace("2026-01-01", "2020-01-01").replace("leaf many", "leaf few")
    (directory / "box@2020-01-01.yang").write_text(old)
    assert ("box", "few") in box_of(load_schema(["box@2020-01-01"], [str(directory)])).children
    assert ("box", "many") in box_of(load_schema(["box"], [str(directory)])).children
    with pytest.raises(NotFoundError):
        load_schema(["box@2019-01-01"], [str(directory)])


def test_the_published_modules_are_found_without_configuration() -> None:
    assert {path.name for path in standard_yang_directories()} == {"ietf", "iana"}
    assert str(shared_directory("yang")) in default_search_path()
    schema = load_schema(["ietf-interfaces", "ietf-ip", "ietf-network-instance"])
    interface = schema.node(parse_path("/ietf-interfaces:interfaces/interface"))
    assert interface.keys == ("name",)
    address = schema.node(parse_path("/ietf-interfaces:interfaces/interface/ietf-ip:ipv4/address"))
    assert address.children["ietf-ip", "prefix-length"].type == "uint8"
    assert interface.children["ietf-network-instance", "bind-ni-name"].type == "string"


def test_the_profile_of_our_routers_compiles_with_our_own_module() -> None:
    schema = load_schema(PROFILE_MODULES["ietf"])
    assert schema.namespaces["accord-router"]
    assert schema.identities["ethernetCsmacd"] == "iana-if-type"


def same(one: SchemaNode, other: SchemaNode) -> bool:
    """Equal in every field, all the way down."""
    fields = [name for name in SchemaNode.__slots__ if name != "children"]
    return (
        [getattr(one, name) for name in fields] == [getattr(other, name) for name in fields]
        and list(one.children) == list(other.children)
        and all(same(one.children[key], other.children[key]) for key in one.children)
    )


def loaded(cache: Path, directory: Path) -> Schema:
    """As another process would load it."""
    yang_schema._schemas.clear()
    return load_schema(["box", "label"], [str(directory)], cache=cache)


def test_a_schema_from_disk_is_the_one_that_was_parsed(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    parsed = loaded(cache, directory)
    with monkeypatch.context() as patch:
        patch.setattr(yang_schema, "compile_modules", None)
        kept = loaded(cache, directory)
    assert same(parsed.root, kept.root)
    assert (parsed.namespaces, parsed.modules) == (kept.namespaces, kept.modules)
    assert parsed.identities == kept.identities


def test_a_changed_module_is_parsed_again(directory: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    loaded(cache, directory)
    (directory / "label.yang").write_text(LABEL.replace("colour", "tint"))
    label = box_of(loaded(cache, directory)).children["label", "label"]
    assert list(label.children) == [("label", "tint")]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"root": []}', b"\xff"])
def test_a_damaged_entry_is_as_good_as_none(directory: Path, tmp_path: Path, damage: bytes) -> None:
    cache = tmp_path / "cache"
    loaded(cache, directory)
    (entry,) = cache.iterdir()
    good = entry.read_bytes()
    entry.write_bytes(damage)
    assert box_of(loaded(cache, directory)).is_presence
    assert entry.read_bytes() == good


def test_a_cache_that_cannot_be_written_is_no_error(directory: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert box_of(loaded(tmp_path / "file" / "cache", directory)).is_presence


def test_the_openconfig_profile_compiles_where_its_modules_are(tmp_path: Path) -> None:
    path = os.environ.get("ACCORD_TEST_YANG_PATH", "")
    if not any(Path(root).rglob("openconfig-network-instance*.yang") for root in path.split(os.pathsep) if root):
        pytest.skip("ACCORD_TEST_YANG_PATH names no directory with OpenConfig modules")
    schema = load_schema(PROFILE_MODULES["openconfig"], path.split(os.pathsep), cache=tmp_path)
    instance = schema.node(parse_path("/openconfig-network-instance:network-instances/network-instance"))
    assert instance.keys == ("name",)
