"""JSON and the CLI's set lines say the same as the XML tree, for any content of the probe module."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.router.cli_candidate import CommitHistory
from lab.router.cli_commands import CliContext, CommandLine
from lab.router.cli_syntax import set_lines
from lab.router.edit import TreeEditor
from lab.router.json_codec import JsonCodec
from lab.router.restconf_edit import graft, new_config
from lab.router.schema import load_schema
from lab.router.xml import data, serialise
from tests.lab.probe_router import PROBE, probe_router

# What a YANG string may hold and XML does not change: no control characters, no carriage return.
TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn"), include_characters="\n\t"), min_size=1, max_size=8
).filter(lambda text: text.strip())
NUMBER = st.integers(0, 65535)
IDENTITY = st.sampled_from(["lab-probe:red", "lab-probe-extra:blue"])


def unique(values, key):
    return st.lists(values, max_size=3, unique_by=key)


TOP = st.fixed_dictionaries(
    {},
    optional={
        "small": st.integers(1, 100),
        "big": st.integers(0, 2**64 - 1).map(str),
        "flag": st.booleans(),
        "marker": st.just([None]),
        "paint": IDENTITY,
        "limit": st.one_of(NUMBER, st.just("none"), st.just("70000")),
        "tag": st.lists(TEXT, min_size=1, max_size=3, unique=True),
        "entry": unique(
            st.fixed_dictionaries({"name": TEXT}, optional={"note": TEXT}), lambda item: item["name"]
        ).filter(len),
        "rule": unique(
            st.fixed_dictionaries({"zone": TEXT, "id": NUMBER, "action": st.sampled_from(["permit", "deny"])}),
            lambda item: (item["zone"], item["id"]),
        ).filter(len),
        "feature": st.fixed_dictionaries({}, optional={"level": st.integers(0, 49)}),
        "lab-probe-extra:hostname": TEXT,
        "lab-probe-extra:extra": TEXT,
    },
)


def tree_of(codec, top):
    config = new_config()
    for element in codec.decode_members(codec.schema.root, codec.decode_document(json.dumps({"lab-probe:top": top}))):
        graft(config, element)
    tree = data()
    TreeEditor(codec.schema).apply(tree, config, "merge")
    return tree


@settings(max_examples=50, deadline=None)
@given(TOP)
def test_json_to_tree_to_json_to_tree_is_the_same_tree(top):
    codec = JsonCodec(load_schema(PROBE))
    tree = tree_of(codec, top)
    again = codec.encode_members(codec.schema.root, tree).get("lab-probe:top", {})
    assert serialise(tree_of(codec, again)) == serialise(tree)
    assert {**again, "entry": None} == {**top, "entry": None}
    assert sorted(again.get("entry", []), key=str) == sorted(top.get("entry", []), key=str)


async def test_set_lines_make_the_same_configuration_again():
    router = probe_router("cli")
    history = CommitHistory(router.store, router.now)
    schema = router.schema

    @settings(max_examples=40, deadline=None)
    @given(TOP)
    def check(top):
        wanted = tree_of(JsonCodec(schema), top)
        session = CommandLine(CliContext(router, history, 1, "admin"))
        session.execute("configure private")
        session.execute("delete top")
        for line in set_lines(schema, schema.root, wanted, []):
            assert session.execute(line) == "", line
        shown = session.execute("show | display json")
        expected = JsonCodec(schema).encode_members(schema.root, wanted)
        assert json.loads(shown) == expected

    check()
