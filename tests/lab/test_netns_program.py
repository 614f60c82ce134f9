"""What routers' kernels are asked to do, without a kernel: programs, choice of ways, coding."""

from __future__ import annotations

import importlib.util
import struct
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from lab.planes.fib import Tables, View
from lab.planes.netns import kernel_queues, kernel_routes
from lab.planes.netns.agent_vrf import ways
from lab.planes.netns.netlink import Request, attribute_list, attributes
from lab.planes.netns.program import Program, Steer, Via, argument_of, make_program, segment_block
from lab.planes.netns.wiring import mac_of, plan_ports, plan_wires

_spec = importlib.util.spec_from_file_location("netns_network", Path(__file__).parent / "netns_network.py")
netns_network = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(netns_network)

VIA_BRUSSELS = ("pe-london", "p-brussels", "pe-paris")
VIA_LYON = ("pe-london", "p-lyon", "pe-paris")


def red_vpn(color: int = 0):
    routers = netns_network.demo()
    for router, site in (("pe-london", 1), ("pe-paris", 2)):
        routers.add_site(router, "red", 1, "access0", f"192.168.{site}.1/24", lan=f"10.{site}.0.0/24", color=color)
    return routers


def program_of(routers, router: str, *, down: frozenset[str] = frozenset()) -> Program:
    tables = Tables(routers.topology, routers)
    for link in down:
        tables.links.set_link(link, up=False)
    tables.see(View(down, down))
    return make_program(tables, router, plan_ports(routers.topology), "fc00::/32")


def test_a_segment_list_is_written_in_reverse_and_starts_at_its_first_segment() -> None:
    segments = ("fc00:0:2:a000::", "fc00:0:3:a001::", "fc00:0:4:1::4")
    header = kernel_routes.segment_header(segments)
    _next, length, kind, left, last, _flags, _tag = struct.unpack_from("!BBBBBBH", header)
    assert (length, kind, left, last) == (6, 4, 2, 2)
    written = [str(IPv6Address(header[start : start + 16])) for start in range(8, len(header), 16)]
    assert written == list(reversed(segments))
    assert written[left] == segments[0]


def test_a_group_of_nexthops_shares_by_weight() -> None:
    request = kernel_routes.nexthop_group(9, [(3, 1), (4, 256)])
    group = attributes(request.body[8:])[2]
    assert list(struct.iter_unpack("=IBBH", group)) == [(3, 0, 0, 0), (4, 255, 0, 0)]


def test_an_ipv4_prefix_may_go_over_an_ipv6_neighbour() -> None:
    request = kernel_routes.route("10.1.0.0/24", [kernel_routes.Hop(7, "fdff::2")])
    via = attributes(request.body[12:])[18]
    assert struct.unpack_from("=H", via)[0] == 10
    assert IPv6Address(via[2:]) == IPv6Address("fdff::2")


def options_of(request: Request) -> bytes:
    return attributes(request.body[20:])[2]


def test_netem_is_told_delay_jitter_loss_and_rate() -> None:
    wanted = kernel_queues.Impairment(delay_seconds=0.01, jitter_seconds=0.002, loss_ratio=0.25, bit_rate=80_000_000)
    options = options_of(kernel_queues.impair(3, wanted))
    loss = struct.unpack_from("=6I", options)[2]
    assert loss / 2**32 == pytest.approx(0.25)
    said = dict(attribute_list(options[24:]))
    assert struct.unpack("=q", said[10]) == (10_000_000,)
    assert struct.unpack("=q", said[11]) == (2_000_000,)
    assert struct.unpack_from("=I", said[6]) == (10_000_000,)


def test_a_token_bucket_of_more_than_34_gigabit_keeps_its_rate() -> None:
    said = attributes(options_of(kernel_queues.limit_rate(3, 100 * 10**9, 0.05)))
    assert struct.unpack("=Q", said[4]) == (12_500_000_000,)
    slow = attributes(options_of(kernel_queues.limit_rate(3, 8_000_000, 0.05)))
    assert 4 not in slow
    assert struct.unpack_from("=BBHhHI", slow[1])[5] == 1_000_000
    assert struct.unpack_from("=I", slow[1], 24)[0] == 18_000 + 50_000  # burst and buffer


def test_vpn_segments_tell_the_family_inside_by_their_argument() -> None:
    assert argument_of("fc00:0:2:1::", 4) == "fc00:0:2:1::4"
    assert argument_of("fc00:0:2:1::", 6) == "fc00:0:2:1::6"


@pytest.mark.parametrize(
    "locators,block",
    [
        ([], ""),
        (["fc00:0:1::/48"], "fc00:0:1::/48"),
        (["fc00:0:1::/48", "fc00:0:2::/48"], "fc00::/46"),
        (["fc00:0:1::/48", "2001:db8::/32"], "fc00::/16"),
    ],
)
def test_the_block_of_segments_holds_all_locators_but_is_not_everything(locators: list[str], block: str) -> None:
    assert segment_block(locators) == block


def test_ports_have_one_number_each_and_wires_join_them() -> None:
    topology = netns_network.demo().topology
    ports = plan_ports(topology)
    numbers = [port.number for found in ports.values() for port in found.values()]
    assert len(set(numbers)) == len(numbers) == 2 * len(topology.links)
    wires = plan_wires(topology, ports, {node.name: number for number, node in enumerate(topology.nodes)})
    for link, wire in zip(topology.links, wires, strict=True):
        assert wire.a.port.far_number == wire.b.port.number
        assert wire.impairment.delay_seconds == link.delay_seconds
    assert len({mac_of(number) for number in numbers}) == len(numbers)


def test_a_vpn_is_programmed_with_its_routes_and_its_customers_addresses() -> None:
    program = program_of(red_vpn(), "pe-london")
    vrf = program.vrfs["red"]
    assert vrf.interfaces["access0"].customer_addresses == ("192.168.1.2",)
    assert vrf.routes["10.1.0.0/24"] == Via("access0", "192.168.1.2")
    assert vrf.routes["10.2.0.0/24"] == Steer("fc00:0:2:1::")
    assert "192.168.1.0/24" not in vrf.routes  # the kernel's own


def test_both_paths_of_a_policy_are_programmed_with_the_ports_they_live_by() -> None:
    routers = red_vpn(color=7)
    routers.set_policy(7, VIA_BRUSSELS, VIA_LYON)
    program = program_of(routers, "pe-london")
    endpoint = routers.plan["pe-paris"].loopback6
    first, second = program.policies[7, endpoint]
    assert (first.discriminator, second.discriminator) == (1, 2)
    assert program.vrfs["red"].routes["10.2.0.0/24"] == Steer("fc00:0:2:1::", (7, endpoint))
    ports = plan_ports(routers.topology)
    assert ports["pe-london"]["core0"].number in first.lists[0].ports
    assert ports["pe-paris"]["core0"].number in first.lists[0].ports
    assert not first.lists[0].ports & second.lists[0].ports


def test_the_best_way_is_the_preferred_path_then_the_backup_then_the_shortest() -> None:
    routers = red_vpn(color=7)
    routers.set_policy(7, VIA_BRUSSELS, VIA_LYON)
    program = program_of(routers, "pe-london")
    steer = program.vrfs["red"].routes["10.2.0.0/24"]
    ports = plan_ports(routers.topology)
    brussels, lyon = ports["pe-paris"]["core0"].number, ports["pe-paris"]["core1"].number
    along = {path: routers.along(*path) for path in (VIA_BRUSSELS, VIA_LYON)}

    def best(*dead: int) -> tuple[str, ...]:
        return ways(steer, program.policies, frozenset(dead))[0][0].segments

    assert best() == along[VIA_BRUSSELS]
    assert best(brussels) == along[VIA_LYON]
    assert best(brussels, lyon) == ()
    assert len(ways(steer, program.policies, frozenset({brussels}))) == 3  # the broken one stays installed


def test_a_path_over_a_link_that_is_known_to_be_down_has_no_lists() -> None:
    routers = red_vpn(color=7)
    routers.set_policy(7, VIA_BRUSSELS, VIA_LYON)
    program = program_of(routers, "pe-london", down=frozenset({"pe-paris--p-brussels"}))
    first, second = program.policies[7, routers.plan["pe-paris"].loopback6]
    assert first.lists == ()
    assert second.lists


def test_input_is_limited_when_every_interface_is() -> None:
    routers = red_vpn()
    own = routers.of["pe-london"]
    access = own.interfaces["access0"]
    assert program_of(routers, "pe-london").vrfs["red"].input_bit_rate == 0
    routers.of["pe-london"] = replace(
        own, interfaces={**own.interfaces, "access0": replace(access, input_bit_rate=5_000_000)}
    )
    assert program_of(routers, "pe-london").vrfs["red"].input_bit_rate == 5_000_000
