"""Owns the far end of the transaction bench, in a process of its own: a ring of N lab routers that speak NETCONF.

`python -m bench.transaction_lab N DIRECTORY [DELAY]`: writes the lab's inventory and credentials there, prints `ready`,
serves until its standard input closes. DELAY: seconds that every answer takes, as a real router's would.
"""

import asyncio
import sys
from pathlib import Path

from lab.inventory import write_files
from lab.network import LabNetwork, NetworkOptions
from lab.router.profiles import Profile, Quirks
from lab.topology import Link, Node, PortRef, Role, Site, Topology


def ring(routers: int) -> Topology:
    """Provider edges in a ring, each in a city of its own."""
    names = [f"pe{number:04}" for number in range(routers)]
    nodes = tuple(
        Node(
            name,
            Role.PE,
            Site(f"City {number}", "DE", 47.0 + number % 80 / 10, 6.0 + number // 80 / 10, f"pop{number}"),
            core_ports=("east", "west"),
            access_ports=("ge0", "ge1"),
        )
        for number, name in enumerate(names)
    )
    ends = zip(names, [*names[1:], names[0]], strict=True)
    links = tuple(Link(f"{a}--{b}", PortRef(a, "east"), PortRef(b, "west"), 10**11, 0.001) for a, b in ends)
    return Topology("ring", nodes, links)


async def main(routers: int, directory: Path, delay_seconds: float) -> None:
    quirks = Quirks(slow_replies=delay_seconds)
    profile = Profile("netconf", restconf=False, cli=False, quirks=quirks)
    async with LabNetwork(ring(routers), NetworkOptions(profile=profile)) as network:
        write_files(
            directory,
            network.running_routers(),
            username=network.options.username,
            password=network.password,
            authority_pem=network.authority_pem,
        )
        print("ready", flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]) if len(sys.argv) > 3 else 0.0))
