"""Owns the process that the restart bench starts: the daemon as far as ready, then gone as by a crash.

`python -m bench.restart_daemon DIRECTORY`; prints one JSON object {ready_at, folded, services}.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from controller.adapters.settings_loader import load_settings
from controller.bootstrap import open_daemon


async def main(directory: Path) -> None:
    daemon = await open_daemon(load_settings(directory / "accord.yaml"))
    services = daemon.controller.world.services.services
    print(json.dumps({"ready_at": time.time(), "folded": daemon.folded, "services": len(services)}), flush=True)
    os._exit(0)  # nothing is written on the way out


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
