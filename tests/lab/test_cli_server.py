"""The CLI over real SSH connections, driven by netmiko's unmodified `juniper_junos` and by asyncssh."""

import asyncio
import json
import re

import asyncssh
import pytest
from netmiko import ConnectHandler

from lab.router.cli_server import CliServer
from lab.router.faults_point import Action, Fault
from lab.router.rpc_errors import failed
from tests.lab.conftest import eventually
from tests.lab.probe_router import probe_router
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
async def router():
    return probe_router("cli")


@pytest.fixture
async def server(router):
    server = CliServer(router)
    router.add_server("cli", server)
    await router.start()
    yield server
    await router.stop()


PROMPTS = ("admin@probe> ", "admin@probe# ", "(yes) ")


class Shell:
    """A terminal session that sends a line and returns what came before the next prompt."""

    def __init__(self, process):
        self.process = process

    async def __call__(self, line):
        self.process.stdin.write(line + "\n")
        answer = (await self.until(PROMPTS)).partition("\r\n")[2].replace("\r\n", "\n")
        return re.sub(r"(\n\[edit[^\n]*\]\n)?[^\n]*\Z", "", answer).removesuffix("\n")

    async def until(self, end):
        text = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not text.endswith(end):
                piece = await self.process.stdout.read(1000)
                assert piece, f"the session ended after {text!r}"
                text += piece
        return text

    async def configure(self, *lines):
        await self("configure")
        return [await self(line) for line in lines]


@pytest.fixture
async def open_shell(server):
    connections = []

    async def open_one():
        connection = await asyncssh.connect(
            "127.0.0.1", server.port, username="admin", password="admin", known_hosts=None, config=None
        )
        connections.append(connection)
        shell = Shell(await connection.create_process(term_type="vt100"))
        assert (await shell.until(PROMPTS)) == "admin@probe> "
        return shell

    yield open_one
    for connection in connections:
        connection.abort()


@pytest.fixture
async def shell(open_shell):
    return await open_shell()


def netmiko(server, work):
    """Run `work` with a netmiko connection, in a thread."""

    def run():
        with ConnectHandler(
            device_type="juniper_junos",
            host="127.0.0.1",
            port=server.port,
            username="admin",
            password="admin",
            fast_cli=True,
        ) as connection:
            return work(connection)

    return asyncio.to_thread(run)


# netmiko


async def test_netmiko_reads_configures_commits_and_reads_back(server, router):
    def work(connection):
        assert connection.find_prompt() == "admin@probe>"
        assert not connection.check_config_mode()
        output = connection.send_config_set(
            ['set top hostname "a b"', "set top entry a/b note n", "set top flag true"], exit_config_mode=False
        )
        assert "error" not in output
        assert connection.check_config_mode()
        difference = connection.send_command("show | compare")
        assert "commit complete" in connection.commit()
        connection.exit_config_mode()
        assert not connection.check_config_mode()
        return difference, connection.send_command("show configuration | display set")

    difference, shown = await netmiko(server, work)
    assert "+  top {" in difference
    assert shown.split("\n") == [
        'set top hostname "a b"',
        "set top flag true",
        "set top entry a/b note n",
    ]
    assert b"a b" in router.store.serialised("running")


async def test_netmiko_sees_a_bad_line_and_a_failed_commit(server, router):
    def work(connection):
        bad = connection.send_config_set(["set top hostnam x"], exit_config_mode=False)
        connection.send_command("set top chosen nobody", expect_string="#")
        with pytest.raises(ValueError, match=r"(?s)Commit failed.*error:"):
            connection.commit()
        with pytest.raises(ValueError, match="Commit failed"):
            connection.commit(check=True)
        connection.send_command("rollback 0", expect_string="#")
        assert "configuration check succeeds" in connection.commit(check=True)
        return bad

    assert "there is no 'hostnam' below 'top'" in await netmiko(server, work)
    assert len(router.store.get("running")) == 0


async def test_netmiko_leaves_configuration_mode_with_uncommitted_changes(server, router):
    def work(connection):
        connection.send_config_set(["set top hostname kept"], exit_config_mode=True)
        return connection.find_prompt()

    assert await netmiko(server, work) == "admin@probe>"
    assert router.store.candidate_is_dirty


async def test_netmiko_commits_with_confirmation_and_confirms(server, router):
    def work(connection):
        connection.send_config_set(["set top hostname x"], exit_config_mode=False)
        assert "rolled back in 5 minutes" in connection.commit(confirm=True, confirm_delay=5)
        pending = router.store.pending_commit is not None
        connection.commit(comment="for good", and_quit=True)
        return pending, connection.check_config_mode()

    assert await netmiko(server, work) == (True, False)
    assert router.store.pending_commit is None
    assert b"<hostname>x</hostname>" in router.store.serialised("running")


# The grammar


ODD_VALUES = [
    "",
    " ",
    "a b",
    'say "hi"',
    "back\\slash",
    "a|b",
    "# no",
    "tab\there",
    "two\nlines",
    "é 漢字 🙂",
    "[x]; {y}",
]


@pytest.mark.parametrize("value", ODD_VALUES)
async def test_odd_values_survive_set_show_and_set_again(shell, router, value):
    from lab.router.cli_tokens import quote

    await shell.configure(f"set top entry {quote(value)} note {quote(value)}", "commit")
    before = router.store.serialised("running")
    lines = (await shell("run show configuration | display set")).split("\n")
    assert lines == [f"set top entry {quote(value)} note {quote(value)}"]
    assert await shell("delete top") == ""
    assert await shell("commit") == "commit complete"
    assert len(router.store.get("running")) == 0
    for line in lines:
        assert await shell(line) == ""
    assert await shell("commit") == "commit complete"
    assert router.store.serialised("running") == before


EVERYTHING = """\
set top hostname r1
set top small 5
set top big 18446744073709551615
set top ratio 1.5
set top flag false
set top marker
set top paint lab-probe-extra:blue
set top access "read write"
set top limit none
set top chosen a/b
set top tag z
set top tag a
set top port 2
set top port 10
set top entry a/b lab-probe-extra:weight -3
set top rule z 2 action deny
set top rule a 1 action permit
set top feature level 3
set top left l
set top lab-probe-extra:hostname other
set top extra e"""


async def test_every_kind_of_node_has_one_lossless_form(shell, router):
    lines = [line.replace("lab-probe-extra:weight", "weight") for line in EVERYTHING.split("\n")]
    assert await shell.configure(*lines, "commit") == [""] * len(lines) + ["commit complete"]
    shown = (await shell("run show running-config")).split("\n")
    assert sorted(shown) == sorted(line.replace("pointer", "") for line in lines)
    before = router.store.serialised("running")
    await shell("delete top")
    for line in shown:
        assert await shell(line) == ""
    assert await shell("show | compare") == ""
    await shell("commit")
    assert router.store.serialised("running") == before


async def test_braces_nest_and_a_path_shows_its_part(shell):
    await shell.configure("set top entry x note n", "set top feature", "set top rule a 1 action deny")
    assert await shell("show top") == ("entry x {\n    note n;\n}\nrule a 1 {\n    action deny;\n}\nfeature;")
    assert await shell("show top entry x") == "note n;"
    assert await shell("show top entry x | display set") == "set top entry x note n"
    assert json.loads(await shell("show top entry x | display json")) == {
        "lab-probe:entry": [{"name": "x", "note": "n"}]
    }
    assert "<note>n</note>" in await shell("show top | display xml")
    assert await shell("show | display set | match rule | count") == "Count: 1 lines"


@pytest.mark.parametrize(
    "line,word,message",
    [
        ("set top nothing x", "nothing", "there is no 'nothing' below 'top'"),
        ("set bottom x", "bottom", "there is no 'bottom' at the top"),
        ("set top small 500", "500", ""),
        ("set top rule a one action deny", "one", ""),
        ("set top hostname bad!", "bad!", ""),
        ("set top hostname a b", "b", "nothing can follow 'hostname'"),
        ("set top entry", None, "'entry' needs its name"),
        ("set top rule a", None, "'rule' needs its id"),
        ("set top hostname", None, "'hostname' needs a value"),
        ("set top", None, "not complete"),
        ("set top status uptime 5", "status", "there is no 'status'"),
        ('set top hostname "open', '"open', "missing closing quote"),
        ("commit sometime", "sometime", "not known"),
        ("rollback x", "x", "no number"),
        ("show | display pictures", "display", "not known after a pipe"),
        ("delete top nothing", "nothing", "there is no"),
        ("insert top entry x before entry y", "x", "only entries that the user orders"),
        ("insert before", None, "only entries that the user orders"),
    ],
)
async def test_an_error_marks_the_bad_word(shell, line, word, message):
    await shell("configure")
    mark, text, *_ = (await shell(line)).split("\n")
    assert text.startswith("syntax error: ")
    assert message in text
    column = mark.index("^") - len("admin@probe# ")
    assert column == (line.index(word) if word else len(line) + 1)


async def test_a_name_that_two_modules_have_at_the_top_is_called_ambiguous():
    from lab.router.cli_syntax import parse_path
    from lab.router.cli_tokens import CliError, tokenize
    from lab.router.schema import Schema, SchemaNode

    twins = [SchemaNode(f"{{urn:{module}}}top", "top", module, f"urn:{module}", "container") for module in ("a", "b")]
    root = SchemaNode("", "", "", "", "container", children={node.tag: node for node in twins})
    schema = Schema.__new__(Schema)
    schema.root = root
    with pytest.raises(CliError, match="'top' is ambiguous, say a:top or b:top"):
        parse_path(schema, tokenize("top"), end=4, whole_lists=True, values=False)
    found = parse_path(schema, tokenize("b:top"), end=6, whole_lists=True, values=False)
    assert found.target.node is twins[1]


async def test_an_unknown_command_is_named(shell):
    mark, text, *_ = (await shell("reload now")).split("\n")
    assert text == "unknown command: 'reload'"
    assert mark.index("^") == len("admin@probe> ")


async def test_deleting_takes_values_entries_and_whole_lists(shell):
    await shell.configure(
        "set top tag a", "set top tag b", "set top entry x", "set top entry y", "set top hostname h", "set top marker"
    )
    for line in ("delete top tag a", "delete top entry", "delete top hostname", "delete top marker"):
        assert await shell(line) == ""
    assert await shell("show | display set") == "set top tag b"
    assert await shell("delete top entry x") == "warning: statement not found"


async def test_insert_reorders_a_user_ordered_list(shell):
    await shell.configure(
        *(f"set top rule {zone} 1 action deny" for zone in "abc"), *(f"set top tag {tag}" for tag in "xyz"), "commit"
    )
    assert await shell("insert top rule c 1 before rule a 1") == ""
    assert await shell("insert top tag x after tag z") == ""
    shown = await shell("show | display set")
    assert [line.split()[3] for line in shown.split("\n") if "rule" in line] == ["c", "a", "b"]
    assert [line.split()[3] for line in shown.split("\n") if "tag" in line] == ["y", "z", "x"]
    assert "!  rule c 1" in await shell("show | compare")


async def test_edit_up_and_top_move_the_place_that_lines_start_at(shell):
    await shell("configure")
    shell.process.stdin.write("edit top entry x\n")
    assert (await shell.until(PROMPTS)).endswith("[edit top entry x]\r\nadmin@probe# ")
    await shell("set note n")
    await shell("up")
    await shell("set hostname h")
    assert await shell("top show | display set") == "set top hostname h\nset top entry x note n"
    await shell("top")
    assert await shell("show top hostname") == "hostname h;"


# Candidates, commits, rollbacks


async def test_compare_shows_what_a_commit_would_change(shell):
    await shell.configure("set top hostname old", "set top entry x note n", "commit")
    await shell("set top hostname new")
    await shell("delete top entry x note")
    await shell("set top entry y note m")
    assert await shell("show | compare") == (
        "[edit top]\n-  hostname old;\n+  hostname new;\n+  entry y {\n+      note m;\n+  }\n"
        "[edit top entry x]\n-  note n;"
    )
    await shell("rollback 0")
    assert await shell("show | compare") == ""


async def test_a_commit_that_breaks_a_constraint_says_where_and_changes_nothing(shell, router):
    await shell.configure("set top feature level 60")
    assert await shell("commit") == (
        "[edit top feature]\n  'level'\n    error: level must stay below 50\nerror: configuration check-out failed"
    )
    assert len(router.store.get("running")) == 0


async def test_rollback_goes_back_several_commits(shell):
    await shell("configure")
    for name in ("one", "two", "three"):
        await shell(f"set top hostname {name}")
        await shell("commit")
    assert await shell("rollback 2") == "load complete"
    assert await shell("show top hostname") == "hostname one;"
    assert "hostname three;" in await shell("show | compare")
    assert await shell("commit") == "commit complete"
    assert await shell("rollback 40") == "error: there is no rollback 40: 4 configurations are kept"
    assert "by admin" in await shell("run show system commit")


async def test_an_unconfirmed_commit_outlives_its_session_and_can_be_confirmed_by_another(open_shell, router):
    first, second = await open_shell(), await open_shell()
    await first.configure("set top hostname x")
    assert await first("commit confirmed 7") == (
        "commit confirmed will be automatically rolled back in 7 minutes unless confirmed\ncommit complete"
    )
    first.process.channel.abort()
    assert router.store.pending_commit is not None
    await second.configure("commit")
    assert router.store.pending_commit is None


async def test_exclusive_configuration_keeps_others_out_and_drops_what_is_left(open_shell, router):
    first, second = await open_shell(), await open_shell()
    assert await first("configure exclusive") == "Entering configuration mode"
    assert (await second("configure exclusive")).startswith("error: configuration database locked by: admin")
    await first("set top hostname x")
    await second("configure")
    assert (await second("set top hostname y")).startswith("error: datastore candidate is in use")
    await first("exit configuration-mode")
    assert await first("yes") == "Exiting configuration mode"
    assert not router.store.candidate_is_dirty


async def test_private_configurations_do_not_see_each_other_and_merge_at_commit(open_shell):
    first, second = await open_shell(), await open_shell()
    for shell, leaf in ((first, "hostname a"), (second, "extra b")):
        assert await shell("configure private") == "Entering configuration mode"
        await shell(f"set top {leaf}")
    assert await second("show | display set") == "set top extra b"
    assert await first("commit") == "commit complete"
    assert await second("commit") == "commit complete"
    assert await second("show | display set") == "set top hostname a\nset top extra b"


async def test_leaving_with_changes_asks_first(shell):
    await shell.configure("set top hostname x")
    assert await shell("exit") == "The configuration has been changed but not committed"
    assert await shell("no") == ""
    assert await shell("show | display set") == "set top hostname x"
    await shell("exit")
    assert await shell("yes") == "Exiting configuration mode"


# SSH


async def test_a_single_command_runs_without_a_terminal(server):
    async with asyncssh.connect(
        "127.0.0.1", server.port, username="admin", password="admin", known_hosts=None, config=None
    ) as connection:
        result = await connection.run("show version")
        assert result.stdout == "Hostname: probe\nModel: accord lab router\n"
        script = "configure\nset top hostname x\ncommit and-quit\nexit\n"
        result = await connection.run(input=script)
        assert "commit complete\n" in result.stdout


async def test_a_wrong_password_is_refused(server):
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            "127.0.0.1", server.port, username="admin", password="guess", known_hosts=None, config=None
        )


class Script:
    """A fault point with one action at one phase of a commit."""

    def __init__(self, phase, action):
        self.phase, self.action = phase, action

    def armed(self, router):
        return True

    async def around(self, router, rpc, phase):
        return self.action if rpc == "cli-commit" and phase == self.phase else None


@pytest.mark.parametrize("phase,acted", [("before", False), ("after", True)])
async def test_close_around_a_commit_drops_the_session(shell, router, phase, acted):
    await shell.configure("set top hostname x")
    router.faults = Script(phase, Action(Fault.CLOSE))
    shell.process.stdin.write("commit\n")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await shell.process.wait_closed()
    assert (len(router.store.get("running")) == 1) is acted


async def test_a_lost_reply_leaves_the_session_silent(shell, router):
    await shell.configure("set top hostname x")
    router.faults = Script("before", Action(Fault.LOSE_REPLY))
    shell.process.stdin.write("commit\n")
    await eventually(lambda: len(router.store.get("running")) == 1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await shell.until(PROMPTS)


async def test_scripted_rejections_warnings_and_garbage_show(shell, router):
    await shell.configure("set top hostname x")
    router.faults = Script("before", Action(Fault.REJECT, error=failed("disk full")))
    assert await shell("commit") == "error: disk full"
    router.faults = Script("before", Action(Fault.WARN, message="hot"))
    assert await shell("commit") == "warning: hot\ncommit complete"
    router.faults = Script("before", Action(Fault.SPLIT, octets=3))
    assert await shell("commit") == "commit complete"
    router.faults = Script("before", Action(Fault.GARBAGE))
    assert "garbage" in await shell("commit")
