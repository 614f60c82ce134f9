"""Owns what every bench prints and writes: one table, and `bench/results/NAME.json`."""

import json
from collections.abc import Sequence
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
    print(f"\n{name}")
    print(f"{'what':<34}{'n':>7}{'ours':>12}{'baseline':>12}{'ratio':>9}  {'unit':<18}baseline")
    for item in rows:
        ratio = "-" if item.ratio is None else f"{item.ratio:.2f}"
        print(
            f"{item.name:<34}{item.n:>7}{item.ours:>12.2f}{item.baseline:>12.2f}{ratio:>9}  "
            f"{item.unit:<18}{item.baseline_name}"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(item) for item in rows], indent=1) + "\n")
