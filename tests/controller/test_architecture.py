"""ARCHITECTURE.md says what is so: its rooms exist, every room is in it, and its diagrams are the tables'."""

import re
from pathlib import Path

import pytest

from controller.assurance import instance
from controller.intent import lifecycle
from controller.recovery import states
from controller.transaction import diagram, stages

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
DIAGRAMS = {
    "participant states": diagram.mermaid,
    "intent life cycle": lifecycle.mermaid,
    "make before break": stages.mermaid,
    "intent instance": instance.mermaid,
    "recovery": states.mermaid,
}


def embedded(name):
    return re.search(rf"<!-- {name}: [^\n]*\n```mermaid\n(.*?)```\n<!-- end -->", TEXT, re.DOTALL)


@pytest.mark.parametrize("name", DIAGRAMS)
def test_the_diagram_is_the_one_the_table_draws(name):
    assert embedded(name)[1].strip() == DIAGRAMS[name]().strip(), (
        f"regenerate it: python -m tests.controller.{__name__}"
    )


def test_every_room_is_listed_and_every_listed_room_exists():
    listed = set(re.findall(r"^\| `([a-z/_.]+)` \|", TEXT, re.MULTILINE))
    rooms = {f"controller/{path.parent.name}" for path in (ROOT / "controller").glob("*/__init__.py")}
    assert rooms <= listed
    assert all((ROOT / place).exists() for place in listed)


def test_no_file_is_longer_than_500_lines_and_no_room_is_called_utils():
    files = [
        path for part in ("controller", "drivers", "lab", "bench", "tests") for path in (ROOT / part).rglob("*.py")
    ]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines()) for path in files}
    assert {name: length for name, length in lengths.items() if length > 500} == {}
    assert not [path for path in files if path.stem in {"utils", "common", "helpers", "manager", "core"}]


if __name__ == "__main__":
    for title, draw in DIAGRAMS.items():
        old = embedded(title)
        TEXT = TEXT.replace(old[0], old[0].replace(f"```mermaid\n{old[1]}```", f"```mermaid\n{draw().strip()}\n```"))
    (ROOT / "ARCHITECTURE.md").write_text(TEXT, encoding="utf-8")
