"""Owns `make bench-mbb`: a live service is moved from one way to the other and back, packets are counted.

The same lab and traffic on every plane that this machine can run: each row's name says which. Ours is accord's change
in stages (build, verify by measurement, move, drain, remove), each a transaction over NETCONF with its proof; beside
it delete-then-add by direct edits, when accord has left the lab. With one service, and with 500 on the tunnel.
`python -m bench.mbb [PLANE...]`.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.accord_mover import accord_lab
from bench.table import Row, row, write
from bench.traffic_lab import LONG, PACKET_RATE, SHORT, Move, TrafficLab, planes
from lab.planes import FlowReport

MOVES = 50
SERVICES = 500
MANY_MOVES, MANY_DELETIONS = 4, 2
"""Moves of so many services at once; a router takes seconds to check each."""
SPACING_SECONDS = 0.1
"""Between moves: longer than either way's delay, so that every packet of one way has come before the next move."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of all flows during some moves, and how long each move took the mover."""

    reports: tuple[FlowReport, ...]
    seconds: tuple[float, ...]

    @property
    def lost(self) -> int:
        """Packets that never came."""
        return sum(report.lost for report in self.reports)

    @property
    def reordered(self) -> int:
        """Packets that were overtaken."""
        return sum(report.reordered for report in self.reports)

    @property
    def sent(self) -> int:
        """Packets of all flows."""
        return sum(report.sent for report in self.reports)


async def measure_moves(
    lab: TrafficLab, move: Move, *, moves: int = MOVES, services: Sequence[int] = (0,), packet_rate: float = PACKET_RATE
) -> Moved:
    """Move the service to and fro under traffic; these VPNs share the packet rate."""
    await move(SHORT)
    flows = [await lab.start_flow(service, packet_rate=packet_rate / len(services)) for service in services]
    await asyncio.sleep(SPACING_SECONDS)
    seconds = []
    for number in range(moves):
        began = time.monotonic()
        await move(SHORT if number % 2 else LONG)
        seconds.append(time.monotonic() - began)
        await asyncio.sleep(SPACING_SECONDS)
    reports = [await lab.stop_flow(flow) for flow in flows]
    return Moved(tuple(reports), tuple(seconds))


async def _one_service(plane: str) -> list[Row]:
    async with accord_lab(plane) as lab:
        ours = await measure_moves(lab, lab.move_in_stages)
        await lab.release()
        edited = await measure_moves(lab, lab.move_in_place)
        plain = await measure_moves(lab, lab.delete_then_add())
        waiting = await measure_moves(lab, lab.delete_then_add(0.01))
    _tell(plane, "accord in stages", ours)
    _tell(plane, "one direct edit in place", edited)
    _tell(plane, "delete, then add", plain)
    _tell(plane, "delete, 10 ms, add", waiting)
    return [
        _lost(f"{plane} packets lost", ours, plain, "delete, then add"),
        _lost(f"{plane} packets lost, 10 ms apart", ours, waiting, "delete, 10 ms, add"),
        row(
            f"{plane} packets reordered",
            MOVES,
            ours.reordered,
            plain.reordered,
            "delete, then add",
            "packets",
            less_is_better=True,
        ),
        row(
            f"{plane} a move, accord's five stages",
            MOVES,
            1e3 * statistics.median(ours.seconds),
            1e3 * statistics.median(plain.seconds),
            "delete, then add",
            "ms",
            less_is_better=True,
        ),
    ]


async def _many_services(plane: str) -> list[Row]:
    watched = (0, SERVICES // 3, 2 * SERVICES // 3, SERVICES - 1)
    async with accord_lab(plane, services=SERVICES) as lab:
        ours = await measure_moves(lab, lab.move_in_stages, moves=MANY_MOVES, services=watched)
        await lab.release()
        plain = await measure_moves(lab, lab.delete_then_add(), moves=MANY_DELETIONS, services=watched)
    _tell(plane, f"{SERVICES} services, accord in stages", ours)
    _tell(plane, f"{SERVICES} services, delete, then add", plain)
    return [
        row(
            f"{plane} packets lost, {SERVICES} services on the tunnel",
            MANY_MOVES,
            ours.lost / MANY_MOVES,
            plain.lost / MANY_DELETIONS,
            "delete, then add",
            "packets/move",
            less_is_better=True,
        )
    ]


def _lost(name: str, ours: Moved, baseline: Moved, baseline_name: str) -> Row:
    return row(name, len(ours.seconds), ours.lost, baseline.lost, baseline_name, "packets", less_is_better=True)


def _tell(plane: str, what: str, moved: Moved) -> None:
    late = sum(report.late for report in moved.reports)
    missed = sum(report.missed for report in moved.reports)
    delays = [f"{1e3 * (report.delay_median_seconds or 0):.2f}" for report in moved.reports]
    print(
        f"{plane}: {what}: {len(moved.seconds)} moves, {moved.sent} sent, {moved.lost} lost, "
        f"{moved.reordered} reordered, {late} sent late, {missed} missed by the receiver, "
        f"median delay {'/'.join(delays)} ms"
    )


async def main(wanted: Sequence[str]) -> None:
    """Every plane that runs here, or those that are named."""
    rows = []
    for plane in await planes(wanted):
        rows += await _one_service(plane)
        rows += await _many_services(plane)
    write("mbb", rows)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
