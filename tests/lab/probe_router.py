"""A router with the probe module set and a state of fixed values, for the tests of RESTCONF and the CLI."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import asyncssh

from lab.router.datastore import ConfigStore
from lab.router.profiles import PROFILES
from lab.router.schema import ModuleSet, load_schema
from lab.router.sessions import Sessions
from lab.router.xml import parse

PROBE = ModuleSet("probe", ("lab-probe", "lab-probe-extra"), (Path(__file__).parent / "yang",))
NS = "urn:accord:tests:lab-probe"


class FixedState:
    def state_tree(self):
        return parse(
            f"""<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><top xmlns="{NS}">
            <entry><name>a/b</name><hits>5</hits></entry><status><uptime>42</uptime></status></top></data>""".encode()
        )


class ProbeRouter:
    """Just what the protocol servers use of a router."""

    def __init__(self, profile="full"):
        self.name = "probe"
        self.host = "127.0.0.1"
        self.schema = load_schema(PROBE)
        self.profile = PROFILES[profile]
        self.store = ConfigStore(
            self.schema, self.profile, scheduler=asyncio.get_running_loop(), now=lambda: datetime.now(UTC)
        )
        self.sessions = Sessions(self.store, lambda: datetime.now(UTC))
        self.operational = FixedState()
        self.faults = None
        self.username = "admin"
        self.password = "admin"
        self.authorized_keys = ()
        self.host_private_key = asyncssh.generate_private_key("ssh-ed25519")
        self.reboots = 0

    async def reboot(self):
        self.reboots += 1
        self.sessions.drop_all()
