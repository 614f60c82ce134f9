"""Configurations of the lab's probe module (one node of every kind and type), as the datastore's tests want them."""

import functools
from pathlib import Path as FilePath

from hypothesis import strategies as st

from controller.adapters.yang_schema import load_schema
from controller.datastore.schema import Schema
from controller.model.yang_path import Path, Step

MODULES = ("lab-probe", "lab-probe-extra")
YANG = FilePath(__file__).parents[1] / "lab" / "yang"
PROBE = "urn:accord:tests:lab-probe"
EXTRA = "urn:accord:tests:lab-probe-extra"

TOP = Step("lab-probe", "top")
# What a YANG string may hold (RFC 7950 9.4): any text but control characters other than tab and line ends.
TEXT = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn"), include_characters="\n\t\"'/\\[]=%&<> "),
    min_size=1,
    max_size=6,
)
NUMBER = st.integers(0, 65535).map(str)
COLOUR = st.sampled_from(["lab-probe:red", "lab-probe-extra:blue"])


@functools.cache
def probe_schema() -> Schema:
    return load_schema(MODULES, [str(YANG)])


def leaf(*names: str, module: str = "lab-probe") -> Path:
    return (TOP, *(Step("lab-probe", name) for name in names[:-1]), Step(module, names[-1]))


def entry(name: str) -> Path:
    return (TOP, Step("lab-probe", "entry", (("name", name),)))


def rule(zone: str, number: str) -> Path:
    return (TOP, Step("lab-probe", "rule", (("zone", zone), ("id", number))))


def port(number: str) -> Path:
    return (TOP, Step("lab-probe", "port", ((".", number),)))


LEAVES = st.fixed_dictionaries(
    {},
    optional={
        leaf("hostname"): TEXT.map(lambda text: text.replace("!", "")),
        leaf("small"): st.integers(1, 100).map(str),
        leaf("big"): st.integers(0, 2**64 - 1).map(str),
        leaf("flag"): st.sampled_from(["true", "false"]),
        leaf("marker"): st.just(""),
        leaf("paint"): COLOUR,
        leaf("hostname", module="lab-probe-extra"): TEXT,
        leaf("extra", module="lab-probe-extra"): TEXT,
    },
)
NOTES = st.fixed_dictionaries({}, optional={"note": TEXT, "weight": st.integers(-9, 9).map(str)})


@st.composite
def configs(draw: st.DrawFn) -> dict[Path, str]:
    """A valid configuration: what stands below an entry or a presence container stands with it."""
    config: dict[Path, str] = dict(draw(LEAVES))
    config |= {port(number): "" for number in draw(st.lists(NUMBER, max_size=3))}
    for name, notes in draw(st.dictionaries(TEXT, NOTES, max_size=3)).items():
        config[entry(name)] = ""
        for leaf_name, value in notes.items():
            module = "lab-probe-extra" if leaf_name == "weight" else "lab-probe"
            config[*entry(name), Step(module, leaf_name)] = value
    for key in draw(st.lists(st.tuples(TEXT, NUMBER), max_size=2)):
        config[rule(*key)] = ""
        config[*rule(*key), Step("lab-probe", "action")] = draw(st.sampled_from(["permit", "deny"]))
    if draw(st.booleans()):
        config[leaf("feature")] = ""
        if draw(st.booleans()):
            config[leaf("feature", "level")] = draw(st.integers(0, 49).map(str))
    return config
