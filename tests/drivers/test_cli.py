"""What the CLI has and the contract does not tell: configuration sessions, comparing, warnings, bounds."""

from collections.abc import AsyncIterator

import asyncssh
import pytest

from controller.adapters.yang_schema import PROFILE_MODULES, load_schema
from controller.datastore.cli_set_style import SetStyleSyntax
from controller.datastore.codec_cli import CliCodec
from controller.datastore.diff import diff, inverse
from controller.model.errors import (
    AuthenticationFailedError,
    ConflictError,
    DeviceRejectedError,
    InvalidInputError,
    LockedError,
    NotSupportedError,
    OutcomeUnknownError,
    ProtocolViolationError,
)
from controller.model.identifiers import TransactionId
from controller.model.yang_path import parse_path
from controller.ports import Secret
from drivers.cli import CliConnector, ConfigurationMovedError
from drivers.cli.platforms import platform_of
from drivers.threads import DriverThreads
from lab.router.faults_point import Action, Fault, Phase
from tests.drivers.contract import Rig
from tests.drivers.test_cli_contract import cli_rig
from tests.patience import SHORT_DEADLINE_SECONDS

CODEC = CliCodec(SetStyleSyntax(load_schema(PROFILE_MODULES["ietf"])))
ETH = "/ietf-interfaces:interfaces/interface[name='ge 0/0/1']"


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with cli_rig() as rig:
        yield rig


def interface(description: str):
    lines = {
        ETH: "",
        f"{ETH}/type": "iana-if-type:ethernetCsmacd",
        f"{ETH}/description": description,
        f"{ETH}/ietf-ip:ipv4": "",
        f"{ETH}/ietf-ip:ipv4/address[ip='10.0.0.1']": "",
        f"{ETH}/ietf-ip:ipv4/address[ip='10.0.0.1']/prefix-length": "24",
    }
    return {parse_path(path): value for path, value in lines.items()}


async def test_configuration_goes_there_and_back_through_the_codec(rig: Rig) -> None:
    async with rig.session() as session:
        before = await session.read()
        base = CODEC.decode(before.body)
        wanted = base | interface('to "London" | rue\\2\n? ü')
        edit = diff(base, wanted)
        assert await session.apply(CODEC.encode_edit(edit), before.entity_tag) == ()
        after = await session.read()
        assert CODEC.decode(after.body) == wanted
        assert CODEC.unknown(after.body) == ()
        await session.apply(CODEC.encode_edit(inverse(edit)), after.entity_tag)
        assert await session.read() == before


class AtEverySet:
    """A fault point that strikes at every `set` command."""

    def __init__(self, phase: Phase, action: Action) -> None:
        self.phase, self.action = phase, action

    def armed(self, router: str) -> bool:
        return True

    async def around(self, router: str, rpc: str, phase: Phase) -> Action | None:
        return self.action if (rpc, phase) == ("cli-set", self.phase) else None


async def test_answers_to_lines_may_come_late_and_in_pieces(rig: Rig) -> None:
    for phase, action in (("reply", Action(Fault.SPLIT, octets=1)), ("before", Action(Fault.DELAY, seconds=0.2))):
        async with rig.session() as session:
            rig.device.router.faults = AtEverySet(phase, action)
            with pytest.raises(DeviceRejectedError, match=r"set interfaces colour red.*syntax error"):
                await session.apply(rig.device.bad_edit())
            assert await session.apply(rig.device.edit(f"by-{action.fault}")) == ()
            assert f"by-{action.fault}".encode() in (await session.read(rig.device.filters())).body


async def test_a_line_that_is_never_answered_ends_at_the_deadline_as_unknown(rig: Rig) -> None:
    async with rig.session(rpc_timeout_seconds=SHORT_DEADLINE_SECONDS) as session:
        rig.device.router.faults = AtEverySet("before", Action(Fault.HANG))
        with pytest.raises(OutcomeUnknownError, match="no answer in time"):
            await session.apply(rig.device.edit("unanswered"))


async def test_a_stale_entity_tag_stops_the_edit_before_it_is_sent(rig: Rig) -> None:
    async with rig.session() as session:
        stale = (await session.read()).entity_tag
        await session.apply(rig.device.edit("theirs"))
        with pytest.raises(ConfigurationMovedError) as refusal:
            await session.apply(rig.device.edit("mine"), stale)
        assert isinstance(refusal.value, ConflictError)
        assert b"theirs" in (await session.read()).body


async def test_comparing_shows_what_would_change_and_changes_nothing(rig: Rig) -> None:
    async with rig.session() as session:
        await session.apply(rig.device.edit("old"))
        shown = await session.compare(rig.device.edit("new"))
        assert "-  description old;" in shown
        assert "+  description new;" in shown
        assert b"old" in (await session.read()).body
        await session.apply(rig.device.edit("after"))
    assert await rig.shows("after")


async def test_an_edit_that_changes_nothing_is_not_committed(rig: Rig) -> None:
    async with rig.session() as session:
        await session.apply(rig.device.edit("same"))
        before = rig.device.router.store.etag
        assert await session.apply(rig.device.edit("same")) == ()
    assert rig.device.router.store.etag == before


async def test_a_commit_that_fails_tells_the_place_and_leaves_nothing_behind(rig: Rig) -> None:
    async with rig.session() as session:
        with pytest.raises(DeviceRejectedError) as refusal:
            await session.apply(b"set interfaces interface eth5 description no-type\n")
        assert refusal.value.causes
        assert any("interfaces" in cause.path for cause in refusal.value.causes)
        await session.apply(rig.device.edit("fine"))
        assert b"eth5" not in (await session.read()).body


async def test_somebody_in_the_configuration_is_a_lock_error(rig: Rig) -> None:
    router = rig.device.router
    router.store.lock("candidate", 4711)
    async with rig.session() as session:
        with pytest.raises(LockedError):
            await session.apply(rig.device.edit("x"))
        router.store.unlock("candidate", 4711)
        await session.apply(rig.device.edit("unlocked"))
    assert await rig.shows("unlocked")


async def test_a_warning_is_returned_and_the_edit_holds(rig: Rig) -> None:
    async with rig.session() as session:
        warned = await session.apply(b"delete interfaces interface none\n" + rig.device.edit("warned"))
        assert [(cause.severity, cause.message) for cause in warned] == [("warning", "warning: statement not found")]
    assert await rig.shows("warned")


async def test_a_reply_that_is_lost_is_unknown_and_ends_the_session(rig: Rig) -> None:
    async with rig.session(rpc_timeout_seconds=SHORT_DEADLINE_SECONDS) as session:
        rig.device.faults.arm(Action(Fault.CLOSE), "after")
        with pytest.raises(OutcomeUnknownError):
            await session.apply(rig.device.edit("x"))


async def test_an_answer_beyond_the_limit_ends_the_session(rig: Rig) -> None:
    threads = DriverThreads(2)
    session = await CliConnector(threads, max_output_characters=20_000).connect(rig.target)
    rig.device.faults.arm(Action(Fault.HUGE, octets=100_000))
    with pytest.raises(ProtocolViolationError) as refusal:
        await session.read()
    assert refusal.value.tag == "too-big"
    await session.close()
    threads.close()


async def test_a_refused_show_command_has_the_devices_words(rig: Rig) -> None:
    async with rig.session() as session:
        with pytest.raises(DeviceRejectedError) as refusal:
            await session.read(["show nonsense"])
        assert "show what" in str(refusal.value)


@pytest.mark.parametrize("line", [b"set x\x03y", b"set x\ty", b"\xff", b"set interfaces \x1b[A"])
async def test_a_line_that_a_terminal_would_act_on_is_not_sent(rig: Rig, line: bytes) -> None:
    async with rig.session() as session:
        with pytest.raises(InvalidInputError):
            await session.apply(line)
        with pytest.raises(InvalidInputError):
            await session.read(["show configuration\nconfigure"])


async def test_a_key_logs_in_and_one_that_cannot_be_read_does_not(rig: Rig) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    rig.device.router.authorized_keys = (key.export_public_key().decode(),)
    async with rig.session(password=None, private_key=Secret(key.export_private_key().decode())) as session:
        assert (await session.read()).entity_tag
    with pytest.raises(AuthenticationFailedError, match="private key"):
        await rig.connect(password=None, private_key=Secret("no key"))


async def test_a_host_in_known_hosts_is_trusted(rig: Rig) -> None:
    known = f"[{rig.target.hostname}]:{rig.target.port} {rig.target.host_key}\n"
    async with rig.session(host_key="", known_hosts=known) as session:
        assert session.capabilities


async def test_what_needs_a_candidate_is_refused(rig: Rig) -> None:
    async with rig.session() as session:
        for refused in (
            session.prepare(b""),
            session.validate(),
            session.commit_tentative(TransactionId("t"), 1),
            session.confirm(TransactionId("t")),
            session.cancel(TransactionId("t")),
            session.commit_now(),
            anext(session.notifications()),
        ):
            with pytest.raises(NotSupportedError):
                await refused


async def test_a_platform_that_is_not_declared_is_refused_naming_those_that_are(rig: Rig) -> None:
    with pytest.raises(InvalidInputError, match="juniper_junos"):
        await rig.connect(device_type="acme_os")


def test_every_declared_platform_is_one_of_netmikos_own() -> None:
    from netmiko.ssh_dispatcher import CLASS_MAPPER

    from drivers.cli.platforms import PLATFORMS

    assert set(PLATFORMS) <= set(CLASS_MAPPER)


@pytest.mark.parametrize(
    "device_type,line,severity",
    [
        ("cisco_ios", "% Invalid input detected at '^' marker.", "error"),
        ("cisco_ios", "% Unknown command: x", "error"),
        ("cisco_ios", "Static Route not installed", "warning"),
        ("juniper_junos", "error: configuration check-out failed", "error"),
        ("juniper_junos", "syntax error: there is no 'x'", "error"),
        ("juniper_junos", "warning: statement not found", "warning"),
        ("vyos", "Set failed", "error"),
        ("vyos", "Commit failed", "error"),
        ("vyos", "  Invalid value", "error"),
    ],
)
def test_a_line_of_trouble_is_known_by_its_platform(device_type: str, line: str, severity: str) -> None:
    (problem,) = platform_of(device_type).problems(f"\n{line}\n")
    assert (problem.severity, problem.message) == (severity, line.strip())
