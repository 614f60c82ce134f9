"""Our YANG modules: clean for pyang, and their constraints hold in libyang."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.model.yang_path import parse_path
from tests.controller.mapping_samples import OURS, STANDARD, day0, device_errors

IF = "/ietf-interfaces:interfaces/interface[name='{}']"
VRF = "/ietf-network-instance:network-instances/network-instance[name='v']"
VPN = f"{VRF}/accord-router:l3vpn"


def vrf() -> dict[str, str]:
    return {
        VRF: "",
        VPN: "",
        f"{VPN}/route-distinguisher": "0:65000:1",
        f"{VPN}/vpn-targets/import[.='0:65000:1']": "",
        f"{VPN}/vpn-targets/export[.='0:65000:1']": "",
        f"{VPN}/srv6": "",
        f"{VPN}/srv6/locator": "main",
        f"{VPN}/srv6/function": "256",
    }


def attachment(name: str = "ge0.7", vlan: str = "7") -> dict[str, str]:
    interface = IF.format(name)
    return {
        interface: "",
        f"{interface}/type": "iana-if-type:l2vlan",
        f"{interface}/ietf-network-instance:bind-ni-name": "v",
        f"{interface}/accord-router:vlan-subinterface": "",
        f"{interface}/accord-router:vlan-subinterface/parent": "ge0",
        f"{interface}/accord-router:vlan-subinterface/vlan-id": vlan,
        f"{interface}/accord-router:attachment": "",
        f"{interface}/accord-router:qos": "",
        f"{interface}/accord-router:qos/input-bandwidth": "1000",
    }


def found(*parts: dict[str, str], without: str = "") -> list[str]:
    flat = {
        path: value for part in parts for path, value in part.items() if not without or not path.startswith(without)
    }
    errors = device_errors({parse_path(path): value for path, value in flat.items()}, day0())
    return [message for _, message in errors]


@pytest.mark.parametrize("module", sorted(OURS.glob("accord-*.yang")), ids=lambda path: path.name)
def test_our_modules_are_clean_for_pyang(module: Path) -> None:
    command = [sys.executable, "-m", "pyang.scripts.pyang_tool", "--lint", "-p", f"{OURS}:{STANDARD}", str(module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_configuration_that_the_others_vary_is_valid() -> None:
    assert found(vrf(), attachment()) == []


INTERFACE = IF.format("ge0.7")


@pytest.mark.parametrize(
    "extra, without, message",
    [
        ({}, f"{VPN}/vpn-targets/import", "imports at least one"),
        ({}, f"{VPN}/vpn-targets/export", "exports at least one"),
        ({}, f"{VPN}/route-distinguisher", "route-distinguisher"),
        ({f"{VPN}/route-distinguisher": "65000:1"}, "", "Unsatisfied pattern"),
        ({f"{VPN}/vpn-targets/import[.='banana']": ""}, "", "Unsatisfied pattern"),
        ({f"{VPN}/srv6/locator": "other"}, "", "other"),
        ({f"{VPN}/vpn-targets/prefix-export[name='x']/route-target[.='0:1:1']": ""}, "", "names what it exports"),
        ({f"{INTERFACE}/accord-router:vlan-subinterface/vlan-id": "4095"}, "", "4095"),
        ({f"{INTERFACE}/accord-router:vlan-subinterface/vlan-id": "8"}, "", "used once per port"),
        ({f"{INTERFACE}/accord-router:vlan-subinterface/parent": "ge5"}, "", "ge5"),
        ({f"{INTERFACE}/ietf-network-instance:bind-ni-name": "w"}, "", "w"),
        ({}, f"{INTERFACE}/ietf-network-instance:bind-ni-name", "belongs to a network instance"),
        ({f"{INTERFACE}/accord-router:qos/input-bandwidth": "0"}, "", "0"),
        ({f"{INTERFACE}/accord-router:qos/class[name='c']/input-guarantee": "1001"}, "", "exceed the input bandwidth"),
        ({f"{INTERFACE}/accord-router:router-advertisement": ""}, "", "need IPv6"),
        (
            {
                f"{VPN}/bgp/neighbor[remote-address='10.0.0.1']/remote-as": "1",
                f"{VPN}/bgp/neighbor[remote-address='10.0.0.1']/address-family[.='ipv6']": "",
            },
            "",
            "IPv6 routes need an IPv6 session",
        ),
        ({f"{VPN}/static-route[prefix='10.0.0.0/8'][next-hop='fd00::1']": ""}, "", "of one family"),
    ],
)
def test_what_makes_no_sense_is_refused(extra: dict[str, str], without: str, message: str) -> None:
    messages = found(vrf(), attachment(), extra, without=without)
    assert any(message in each for each in messages), messages


def test_two_interfaces_cannot_share_a_vlan_of_one_port() -> None:
    assert any("used once per port" in each for each in found(vrf(), attachment(), attachment("ge0.8", "7")))
