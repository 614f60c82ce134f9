"""A process that runs the demo network in namespaces.

`flow` sends traffic over it and reports, `stay` waits to be killed.
"""

# ruff: noqa: T201 - what it prints is what it answers

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
import time
from pathlib import Path

from lab.planes import Attachment, FlowSpec
from lab.planes.netns.plane import NetnsPlane

_spec = importlib.util.spec_from_file_location("netns_network", Path(__file__).parent / "netns_network.py")
netns_network = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(netns_network)


async def main(what: str) -> None:
    routers = netns_network.demo()
    for router, site in (("pe-london", 1), ("pe-paris", 2)):
        routers.add_site(router, "red", 1, "access0", f"192.168.{site}.1/24", f"2001:db8:{site}::1/64")
    plane = NetnsPlane(routers.topology, routers, now=time.time)
    await plane.start()
    ends = [Attachment(router, "access0", "") for router in ("pe-london", "pe-paris")]
    if what == "stay":
        host = await plane.host(ends[0])
        print(json.dumps({"host": host.process}), flush=True)
        await asyncio.sleep(600)
    flow = await plane.start_flow(FlowSpec(*ends, packet_rate=500))
    await asyncio.sleep(1)
    report = await plane.stop_flow(flow)
    problems = [problem for found in plane.problems.values() for problem in found]
    print(json.dumps({"plane": report.plane, "received": report.received, "lost": report.lost, "problems": problems}))
    await plane.stop()


asyncio.run(main(sys.argv[1]))
