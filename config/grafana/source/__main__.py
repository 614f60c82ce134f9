"""Writes every dashboard anew: `python -m config.grafana.source`, from the root of the repository."""

from pathlib import Path

from config.grafana.source.boards import BOARDS
from config.grafana.source.build import write

DASHBOARDS = Path(__file__).parents[1] / "dashboards"

if __name__ == "__main__":
    write(BOARDS, DASHBOARDS)
