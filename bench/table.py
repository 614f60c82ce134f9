"""Owns what every bench prints and writes: one table, and `bench/results/NAME.json`.

`python -m bench.table` prints the last results of all of them.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison. `ratio`: how many times better than the baseline (larger is better), None when ours is 0."""

    name: str
    n: int
    ours: float
    baseline: float
    baseline_name: str
    ratio: float | None
    unit: str


def row(  # noqa: PLR0917 - the columns of the table, in their order
    name: str, n: int, ours: float, baseline: float, baseline_name: str, unit: str, *, less_is_better: bool = False
) -> Row:
    """Return a row with its ratio worked out."""
    better, worse = (baseline, ours) if less_is_better else (ours, baseline)
    ratio = None if not ours or not worse else round(better / worse, 3)
    return Row(name, n, round(ours, 4), round(baseline, 4), baseline_name, ratio, unit)


def write(name: str, rows: Sequence[Row]) -> None:
    """Print the table and write the results of bench `name`."""
    print(f"\n{table({name: rows})}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(item) for item in rows], indent=1) + "\n")


def read_all(directory: Path = RESULTS) -> dict[str, list[Row]]:
    """Every bench's last results, by name; `ValueError` names a file that does not hold any."""
    return {file.stem: _read(file) for file in sorted(directory.glob("*.json"))}


def _read(file: Path) -> list[Row]:
    try:
        return [Row(**item) for item in json.loads(file.read_text())]
    except (ValueError, TypeError) as error:
        raise ValueError(f"{file} holds no results: {error}") from error


def table(benches: Mapping[str, Sequence[Row]]) -> str:
    """The rows of all benches under one head, each column as wide as it must be."""
    lines = [_HEAD]
    lines += [_cells(name, item) for name, rows in benches.items() for item in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEAD))]
    return "\n".join(_line(line, widths) for line in lines)


_HEAD: tuple[str, ...] = ("bench", "what", "n", "ours", "baseline", "ratio", "unit", "baseline is")
_NUMBERS = {"n", "ours", "baseline", "ratio"}


def _cells(bench: str, item: Row) -> tuple[str, ...]:
    ratio = "-" if item.ratio is None else f"{item.ratio:.2f}"
    figures = (str(item.n), f"{item.ours:.2f}", f"{item.baseline:.2f}", ratio)
    return (bench, item.name, *figures, item.unit, item.baseline_name)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [
        cell.rjust(width) if column in _NUMBERS else cell.ljust(width)
        for column, cell, width in zip(_HEAD, cells, widths, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def main() -> None:
    """All results as one table."""
    benches = read_all()
    print(table(benches) if benches else f"no results in {RESULTS} yet: run make bench")


if __name__ == "__main__":
    main()
