"""Owns what `controller.assurance.root_cause_calibration` holds: isotonic regression on simulated faults.

Prints the table; the networks are others than those that `bench.localise` judges.
`python -m bench.localise_calibration`.
"""

from collections.abc import Iterator, Sequence
from itertools import product

from bench.localise_scenarios import KINDS, SENSORS, ground, scenario
from controller.assurance.root_cause import localise

NETWORKS = ("polska", "nobel-us", "france", "norway", "atlanta")
SEEDS = 20
LEAST_IN_STEP = 25


def outcomes() -> Iterator[tuple[float, bool]]:
    """Of every cause that was listed: its posterior, and whether it was one."""
    for name, kind, sensors, seed in product(NETWORKS, KINDS, SENSORS, range(SEEDS)):
        drawn = scenario(ground(f"sndlib/{name}"), kind, sensors, f"calibration-{seed}")
        for diagnosis in localise(drawn.ground.groups, drawn.observations):
            for cause in diagnosis.causes:
                yield cause.posterior, (cause.kind, cause.name) in drawn.truth


def isotonic(told: Sequence[tuple[float, bool]]) -> list[tuple[float, float]]:
    """(posterior, share of true ones), neither falling: neighbours that contradict the order are pooled."""
    blocks: list[tuple[float, float, int]] = []
    for posterior, is_true in sorted(told):
        blocks.append((posterior, float(is_true), 1))
        while len(blocks) > 1 and (blocks[-2][1] >= blocks[-1][1] or blocks[-2][2] < LEAST_IN_STEP):
            right, left = blocks.pop(), blocks.pop()
            both = left[2] + right[2]
            pooled = [(left[part] * left[2] + right[part] * right[2]) / both for part in (0, 1)]
            blocks.append((pooled[0], pooled[1], both))
    return [(posterior, share) for posterior, share, _ in blocks]


def main() -> None:
    """The table as it stands in the module."""
    steps = isotonic(list(outcomes()))
    for posterior, share in [(0.0, 0.0), *steps]:
        print(f"    ({posterior:.4f}, {share:.3f}),")


if __name__ == "__main__":
    main()
