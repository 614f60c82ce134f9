"""Owns `python -m bench.forecast_families`: `accord bench assure` on series of many families, at many horizons.

Prints, by family and horizon, skill against persistence and against the last season, and the coverage of the 90 %
interval, as the command says them. `--held-out`, `--learnt-on`: only these; `-o json` for machines.
"""

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.series_families import HELD_OUT, LEARNT_ON, write_csv
from controller.cli.main import main as accord

HORIZONS = (1, 3, 6, 12, 24, 48)
SEEDS = (1,)
_PARTS = ("skill_vs_persistence", "skill_vs_seasonal_naive", "coverage")


def judged(file: Path, horizon: int) -> dict[str, Any]:
    """What the command says of a file."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        accord(["bench", "assure", "--series", str(file), "--horizon", str(horizon), "-o", "json"])
    found: dict[str, Any] = json.loads(told.getvalue())
    return found


def figures(names: Iterable[str], horizons: Iterable[int] = HORIZONS) -> Iterator[dict[str, Any]]:
    """One row for each family, seed and horizon."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "series.csv"
        for name in names:
            for seed in SEEDS:
                write_csv(name, seed, file)
                for horizon in horizons:
                    told = judged(file, horizon)
                    yield {"family": name, "horizon": horizon, **{part: told[part] for part in _PARTS}}


def _shown(value: float | None) -> str:
    return "   -  " if value is None else f"{value:6.3f}"


def main() -> None:
    """The families asked for."""
    wanted = {**({} if "--held-out" in sys.argv else LEARNT_ON), **({} if "--learnt-on" in sys.argv else HELD_OUT)}
    rows = []
    for row in figures(wanted):
        rows.append(row)
        if "json" not in sys.argv:
            print(f"{row['family']:28} {row['horizon']:3}  " + "  ".join(_shown(row[part]) for part in _PARTS))
    if "json" in sys.argv:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
