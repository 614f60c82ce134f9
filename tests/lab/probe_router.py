"""A router with the probe module set and a state of fixed values, for the tests of RESTCONF and the CLI."""

from dataclasses import replace
from pathlib import Path

from lab.router.profiles import PROFILES
from lab.router.router import Router
from lab.router.schema import ModuleSet
from lab.router.xml import parse

PROBE = ModuleSet("probe", ("lab-probe", "lab-probe-extra"), (Path(__file__).parent / "yang",))
NS = "urn:accord:tests:lab-probe"


class FixedState:
    def state_tree(self):
        return parse(
            f"""<data xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><top xmlns="{NS}">
            <entry><name>a/b</name><hits>5</hits></entry><status><uptime>42</uptime></status></top></data>""".encode()
        )


def probe_router(profile):
    """A router without any server yet."""
    router = Router("probe", modules=PROBE, profile=replace(PROFILES[profile], netconf=False))
    router.operational = FixedState()
    return router
