"""Interfaces off a command line: what the lab's routers show, and what Junos does."""

import pytest

from controller.model.identifiers import DeviceName
from controller.runtime.collection_reading import read_answer
from lab.router.cli_interfaces import render_interfaces
from lab.router.xml import parse

PE = DeviceName("pe1")
STATE = b"""<data><interfaces xmlns="urn:ietf:params:xml:ns:yang:ietf-interfaces"><interface><name>core0</name>
<oper-status>up</oper-status><speed>10000000000</speed><statistics>
<discontinuity-time>2026-11-22T05:00:00Z</discontinuity-time><in-octets>12</in-octets><out-octets>34</out-octets>
<out-discards>5</out-discards></statistics></interface><interface><name>lo0</name><oper-status>down</oper-status>
</interface></interfaces></data>"""
LOGICAL = b"""Physical interface: ge-0/0/1, Enabled, Physical link is Up
  Interface index: 148, SNMP ifIndex: 526
  Speed: 1Gbps, Loopback: Disabled
  Statistics last cleared: Never
  Traffic statistics:
   Input  bytes  :                  700                    0 bps
   Output bytes  :                  900                    8 bps
  Output errors:
    Carrier transitions: 1, Errors: 0, Drops: 3, Collisions: 0

  Logical interface ge-0/0/1.0 (Index 70)
    Traffic statistics:
     Input  bytes  :                 1
     Output bytes  :                 2
"""


def told(body: bytes) -> tuple[dict[str, float], dict[str, int]]:
    found = read_answer(PE, body, 1.0, 1.0)
    return {f"{one.key.object}/{one.key.kind}": one.value for one in found.readings}, dict(found.speeds)


def test_what_the_lab_shows_is_what_it_tells_in_xml() -> None:
    values, speeds = told(render_interfaces(parse(STATE)).encode())
    from_xml, from_xml_speeds = told(STATE)
    assert speeds == from_xml_speeds == {"core0": 10**10}
    assert from_xml.items() <= values.items()
    since = {one.discontinuity for one in read_answer(PE, render_interfaces(parse(STATE)).encode(), 1.0, 1.0).readings}
    assert since == {None, 1795323600.0}


def test_counters_of_logical_interfaces_are_not_taken_for_the_port() -> None:
    values, speeds = told(LOGICAL)
    assert values == {
        "ge-0/0/1/oper-status": 1.0,
        "ge-0/0/1/in-octets": 700.0,
        "ge-0/0/1/out-octets": 900.0,
        "ge-0/0/1/out-discards": 3.0,
    }
    assert speeds == {"ge-0/0/1": 10**9}


@pytest.mark.parametrize("body", [b"", b"Physical interface: "])
def test_a_command_line_that_shows_nothing_tells_nothing(body: bytes) -> None:
    assert told(body) == ({}, {})
