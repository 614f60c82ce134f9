"""FRR's declared subset: what is rendered is parsed back, edits are exact lines, the unknown is told."""

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.datastore.cli_frr import frr_syntax
from controller.datastore.codec_cli import CliCodec
from controller.datastore.diff import apply as applied
from controller.datastore.diff import diff, inverse
from controller.model.errors import NotSupportedError, ProtocolViolationError
from controller.model.yang_path import parse_path

SYNTAX = frr_syntax(65000)
IF = "/ietf-interfaces:interfaces/interface[name='{}']"
NI = "/ietf-network-instance:network-instances/network-instance[name='{}']"
VPN = NI + "/accord-router:l3vpn"


def config(*lines):
    pairs = (line if isinstance(line, tuple) else (line, "") for line in lines)
    return {parse_path(path): value for path, value in pairs}


def interface(name, *lines):
    base = IF.format(name)
    kind = (f"{base}/type", "iana-if-type:ethernetCsmacd")
    return config(base, kind, *((f"{base}{path}", value) for path, value in lines))


def address(ip, length):
    family = "/ietf-ip:ipv6" if ":" in ip else "/ietf-ip:ipv4"
    entry = f"{family}/address[ip='{ip}']"
    return (family, ""), (entry, ""), (f"{entry}/prefix-length", str(length))


def vpn(name, rd, imports, exports, routes=()):
    base = VPN.format(name)
    return config(
        NI.format(name),
        base,
        (f"{base}/route-distinguisher", rd),
        *(f"{base}/vpn-targets/import[.='{target}']" for target in imports),
        *(f"{base}/vpn-targets/export[.='{target}']" for target in exports),
        *(
            (f"{base}/static-route[prefix='{prefix}'][next-hop='{hop}']{leaf}", value)
            for prefix, hop, leaf, value in routes
        ),
    )


RED = vpn(
    "red",
    "65000:1",
    ["65000:1", "65000:2"],
    ["65000:1"],
    [
        ("10.9.0.0/16", "10.0.0.2", "", ""),
        ("10.8.0.0/16", "10.0.0.2", "", ""),
        ("10.8.0.0/16", "10.0.0.2", "/tag", "5"),
        ("10.8.0.0/16", "10.0.0.2", "/preference", "20"),
    ],
) | interface("eth7", ("/description", "to London 7"), *address("10.0.0.1", 30), *address("2001:db8::7", 64))


def test_a_vpn_is_written_as_frr_shows_it():
    assert SYNTAX.render(RED) == textwrap.dedent(
        """\
        vrf red
         ip route 10.8.0.0/16 10.0.0.2 tag 5 20
         ip route 10.9.0.0/16 10.0.0.2
        exit-vrf
        interface eth7
         description to London 7
         ip address 10.0.0.1/30
         ipv6 address 2001:db8::7/64
        exit
        router bgp 65000 vrf red
         address-family ipv4 unicast
          rd vpn export 65000:1
          rt vpn import 65000:1 65000:2
          rt vpn export 65000:1
         exit-address-family
        exit
        """
    )


def test_frrs_own_text_is_read_and_what_is_foreign_is_kept_with_its_place():
    text = """\
Building configuration...

Current configuration:
!
frr version 8.4.4
hostname r1
!
ip route 10.0.0.0/8 10.1.1.1
!
vrf red
 ip route 10.8.0.0/16 10.0.0.2 tag 5 20
 ip route 10.9.0.0/16 10.0.0.2
exit-vrf
!
interface eth7
 description to London 7
 ip address 10.0.0.1/30
 ip ospf area 0
 ipv6 address 2001:db8::7/64
exit
!
router bgp 65000 vrf red
 !
 address-family ipv4 unicast
  redistribute connected
  rd vpn export 65000:1
  rt vpn import 65000:1 65000:2
  rt vpn export 65000:1
 exit-address-family
exit
!
router ospf
 network 10.0.0.0/8 area 0
exit
end
"""
    parsed = SYNTAX.parse(text)
    assert parsed.config == RED
    assert [(line.line, line.within) for line in parsed.unknown] == [
        ("ip route 10.0.0.0/8 10.1.1.1", ()),
        ("ip ospf area 0", ("interface eth7",)),
        ("redistribute connected", ("router bgp 65000 vrf red", "address-family ipv4 unicast")),
        ("router ospf", ()),
        ("network 10.0.0.0/8 area 0", ("router ospf",)),
    ]
    assert parsed.unknown[0].number == 8


def test_equal_targets_are_frrs_both():
    both = vpn("red", "65000:1", ["65000:1"], ["65000:1"])
    assert "rt vpn both 65000:1" in SYNTAX.render(both)
    assert SYNTAX.parse(SYNTAX.render(both)).config == both


names = st.from_regex(r"[a-z][a-z0-9/._-]{0,8}", fullmatch=True)
texts = st.lists(
    st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?|"), min_size=1), min_size=1
)
ips = st.ip_addresses(v=4).map(str)
targets = st.builds("{}:{}".format, st.integers(1, 65535), st.integers(0, 2**32 - 1))
prefixes = st.builds("{}/{}".format, ips, st.integers(0, 32))
six_prefixes = st.builds("{}/{}".format, st.ip_addresses(v=6), st.integers(0, 128))


@st.composite
def interfaces(draw):
    found = {}
    for name in draw(st.lists(names, unique=True, max_size=3)):
        lines = [*draw(st.lists(texts.map(" ".join).map(lambda text: ("/description", text)), max_size=1))]
        lines += [("/enabled", "false")] if draw(st.booleans()) else []
        for ip in draw(st.lists(st.ip_addresses(), unique=True, max_size=3)):
            lines += address(str(ip), draw(st.integers(0, ip.max_prefixlen)))
        if draw(st.booleans()):
            lines.append(("/ietf-network-instance:bind-ni-name", draw(names)))
        found |= interface(name, *lines)
    return found


@st.composite
def vpns(draw):
    found = {}
    for name in draw(st.lists(names, unique=True, max_size=3)):
        found |= config(NI.format(name))
        if not draw(st.booleans()):
            continue
        routes = []
        four = st.tuples(prefixes, ips)
        six = st.tuples(six_prefixes, st.ip_addresses(v=6).map(str))
        for prefix, hop in draw(st.lists(four | six, unique=True, max_size=3)):
            leaves = {"": "", "/tag": str(draw(st.integers(1, 10**9))), "/preference": str(draw(st.integers(2, 255)))}
            kept = draw(st.sets(st.sampled_from(["/tag", "/preference"])))
            routes += [(prefix, hop, leaf, value) for leaf, value in leaves.items() if not leaf or leaf in kept]
        wanted = st.lists(targets, unique=True, max_size=3)
        found |= vpn(name, draw(targets), draw(wanted), draw(wanted), routes)
    return found


routers = st.just({}) | st.builds(
    lambda address: config(
        ("/accord-router:router/asn", "65000"), *([("/accord-router:router/router-id", address)] if address else [])
    ),
    st.none() | ips,
)
configs = st.builds(lambda *parts: {k: v for part in parts for k, v in part.items()}, interfaces(), vpns(), routers)


@given(configs)
def test_what_is_rendered_is_parsed_back(wanted):
    parsed = SYNTAX.parse(SYNTAX.render(wanted))
    assert parsed.config == wanted
    assert parsed.unknown == ()


class Device:
    """What FRR does with command lines, as far as the subset goes: lines in blocks, `no` takes away."""

    REPLACED = ("description", "rd vpn export", "rt vpn import", "rt vpn export", "rt vpn both", "bgp router-id")

    def __init__(self, text):
        self.blocks = {}
        self.load(text.splitlines())

    def load(self, lines):
        at = ()
        for raw in lines:
            line = raw.strip()
            if line in {"exit", "exit-vrf", "exit-address-family"}:
                at = at[:-1]
            elif line.startswith("no "):
                self.take_away((*at, line.removeprefix("no ")))
            else:
                self.put((*at, line))
                if line.split()[0] in {"vrf", "interface", "router", "address-family"}:
                    at = (*at, line)

    def put(self, path):
        for word in self.REPLACED:
            if path[-1].startswith(word):
                same = [p for p in self.blocks if p[:-1] == path[:-1] and self.clashes(p[-1], path[-1], word)]
                for other in same:
                    del self.blocks[other]
        if path[-1].startswith("interface "):
            name = path[-1].split()[1]
            for other in [p for p in self.blocks if p[0].split()[:2] == ["interface", name] and p[0] != path[0]]:
                del self.blocks[other]
        self.blocks[path] = None

    @staticmethod
    def clashes(old, new, word):
        if word.startswith("rt vpn"):
            return old.startswith("rt vpn") and (
                "both" in {old.split()[2], new.split()[2]} or old.split()[2] == word.split()[2]
            )
        return old.startswith(word)

    def take_away(self, path):
        found = [
            p for p in self.blocks if p[: len(path)] == path or (p[:-1] == path[:-1] and self.means(path[-1], p[-1]))
        ]
        assert found, f"the device has no {path}"
        for other in found:
            del self.blocks[other]

    def means(self, wanted, line):
        return wanted in self.REPLACED and line.startswith(wanted)

    def text(self):
        return "\n".join(" " * (len(path) - 1) + path[-1] for path in sorted(self.blocks))


@given(configs, configs)
def test_an_edits_lines_lead_from_one_configuration_to_the_other_and_back(before, after):
    device = Device(SYNTAX.render(before))
    edit = diff(before, after)
    device.load(SYNTAX.render_edit(edit, before))
    assert SYNTAX.parse(device.text()).config == after
    device.load(SYNTAX.render_edit(inverse(edit), after))
    assert SYNTAX.parse(device.text()).config == before


def test_the_base_of_an_edit_serves_its_reverse_as_well():
    before, after = vpn("a", "1:1", ["1:1"], []), vpn("a", "1:2", ["1:1", "1:2"], [])
    reverse = inverse(diff(before, after))
    assert SYNTAX.render_edit(reverse, before) == SYNTAX.render_edit(reverse, after)
    assert "rt vpn import 1:1" in SYNTAX.render_edit(reverse, before)


def test_an_edit_is_the_exact_lines_deletions_first():
    before = interface("eth1", ("/description", "old"), *address("10.0.0.1", 24)) | vpn("a", "1:1", ["1:1"], ["1:1"])
    after = interface("eth1", ("/description", "new"), *address("10.0.0.2", 24)) | vpn("b", "1:2", ["1:2"], [])
    assert SYNTAX.render_edit(diff(before, after), before) == (
        "no router bgp 65000 vrf a",
        "interface eth1",
        "no ip address 10.0.0.1/24",
        "exit",
        "no vrf a",
        "vrf b",
        "exit-vrf",
        "interface eth1",
        "description new",
        "ip address 10.0.0.2/24",
        "exit",
        "router bgp 65000 vrf b",
        "address-family ipv4 unicast",
        "rd vpn export 1:2",
        "rt vpn import 1:2",
        "exit-address-family",
        "exit",
    )


def test_a_line_of_its_own_needs_no_knowledge_of_the_rest():
    described = diff(interface("eth1"), interface("eth1", ("/description", "x")))
    assert SYNTAX.render_edit(described) == ("interface eth1", "description x", "exit")
    assert SYNTAX.render_edit(inverse(described)) == ("interface eth1", "no description", "exit")


def test_a_whole_vpn_needs_no_knowledge_of_the_rest():
    edit = diff({}, RED)
    assert SYNTAX.render_edit(edit) == SYNTAX.render_edit(edit, {})
    assert SYNTAX.render_edit(inverse(edit)) == SYNTAX.render_edit(inverse(edit), RED)


def test_a_line_of_several_values_is_not_written_without_knowing_the_others():
    edit = diff(vpn("a", "1:1", ["1:1"], []), vpn("a", "1:1", ["1:1", "1:2"], []))
    with pytest.raises(NotSupportedError, match="without knowing the others"):
        SYNTAX.render_edit(edit)
    assert "rt vpn import 1:1 1:2" in SYNTAX.render_edit(edit, vpn("a", "1:1", ["1:1"], []))


@pytest.mark.parametrize(
    "beyond,path",
    [
        (config(("/accord-router:router/asn", "1")), "asn"),
        (interface("eth1", ("/description", "what?")), "description"),
        (interface("eth1", ("/description", "two  spaces")), "description"),
        (interface("eth1", ("/description", "Zürich")), "description"),
        (interface("eth1", ("/enabled", "true")), "enabled"),
        (interface("eth 1"), "eth 1"),
        (config(IF.format("eth1")), "eth1"),
        (config("/accord-router:router/oam/stamp-reflector"), "stamp-reflector"),
        (
            vpn("a", "1:1", [], [], [("10.0.0.0/8", "10.0.0.1", "", ""), ("10.0.0.0/8", "10.0.0.1", "/tag", "blue")]),
            "tag",
        ),
    ],
)
def test_what_the_subset_cannot_say_is_refused_with_its_path(beyond, path):
    with pytest.raises(NotSupportedError) as refusal:
        SYNTAX.render(beyond)
    assert path in refusal.value.path


def test_the_codec_writes_lines_and_tells_what_it_did_not_understand():
    codec = CliCodec(SYNTAX).on({})
    body = codec.encode_edit(diff({}, RED))
    assert body.decode().splitlines()[0] == "vrf red"
    assert codec.decode(SYNTAX.render(RED).encode() + b"router rip\n") == RED
    assert [line.line for line in codec.unknown(b"router rip\n")] == ["router rip"]
    assert codec.encode_filters([()]) == ()
    with pytest.raises(ProtocolViolationError):
        codec.decode(b"\xff")


def test_an_edit_and_its_configuration_agree():
    edit = diff({}, RED)
    assert applied({}, edit) == RED
