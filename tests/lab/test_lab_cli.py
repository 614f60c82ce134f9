"""`accord lab` as a user runs it: a real process, its files, its control socket."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ncclient import manager
from ncclient.transport.errors import SessionCloseError, TransportError
from typer.testing import CliRunner, Result

from lab.cli import app
from lab.cli_help import MEANINGS
from lab.control_socket import ControlError, _short_path, ask, is_running, lab_directory
from lab.home import occupied, tenant
from lab.router.faults_point import Fault
from lab.topology_file import load_topology
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
EXITS_OK = 0
TINY = """
name: tiny
nodes:
  - {name: r1, role: pe, site: {city: Oslo, country: "NO", latitude: 59.9, longitude: 10.7, pop: OSL1},
     core_ports: [core0], access_ports: [access0]}
  - {name: r2, role: pe, site: {city: Bergen, country: "NO", latitude: 60.4, longitude: 5.3, pop: BGO1},
     core_ports: [core0], access_ports: [access0]}
links:
  - {name: fjord, a: "r1:core0", b: "r2:core0", capacity: 10G}
"""


def run(*words: str, directory: Path) -> Result:
    return CliRunner().invoke(app, [*words, "--dir", str(directory)])


def answer(*words: str, directory: Path) -> Any:
    done = run(*words, "-o", "json", directory=directory)
    assert done.exit_code == EXITS_OK, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    home = tmp_path_factory.mktemp("lab") / "state"
    topology = home.parent / "tiny.yaml"
    topology.write_text(TINY)
    started = run("up", "--topology", str(topology), "--profile-for", "r2=running", "--detach", directory=home)
    assert started.exit_code == EXITS_OK, started.stderr
    try:
        yield home
    finally:
        run("down", directory=home)
    assert not is_running(home)


def connect(directory: Path, name: str) -> manager.Manager:
    inventory = yaml.safe_load((directory / "inventory.yaml").read_text())
    host = inventory["hosts"][name]
    secret = yaml.safe_load((directory / "credentials.yaml").read_text())["credentials"][host["data"]["credential"]]
    return manager.connect(
        host=host["hostname"],
        port=host["port"],
        username=secret["username"],
        password=secret["password"],
        hostkey_b64=host["data"]["host_key"].split()[1],
        allow_agent=False,
        look_for_keys=False,
        timeout=PATIENCE_SECONDS,
    )


def test_the_inventory_alone_is_enough_to_connect(directory: Path) -> None:
    for name in ("r1", "r2"):
        with connect(directory, name) as session:
            assert "lo0" in session.get_config("running").data_xml


def test_the_known_hosts_file_is_enough_to_trust_the_routers(directory: Path) -> None:
    host = yaml.safe_load((directory / "inventory.yaml").read_text())["hosts"]["r1"]
    entry = f"[127.0.0.1]:{host['port']} {host['data']['host_key']}"
    assert entry in (directory / "known_hosts").read_text().splitlines()


def test_the_inventory_has_nornirs_shape_and_no_secret(directory: Path) -> None:
    text = (directory / "inventory.yaml").read_text()
    inventory = yaml.safe_load(text)
    assert set(inventory) == {"hosts", "groups", "defaults"}
    known = {"hostname", "port", "username", "password", "platform", "groups", "data", "connection_options"}
    for host in (*inventory["hosts"].values(), *inventory["groups"].values(), inventory["defaults"]):
        assert set(host) <= known
    assert {group for host in inventory["hosts"].values() for group in host["groups"]} == set(inventory["groups"])
    password = yaml.safe_load((directory / "credentials.yaml").read_text())["credentials"]["lab"]["password"]
    assert password not in text
    data = inventory["hosts"]["r2"]["data"]
    assert data["site"] == {"city": "Bergen", "country": "NO", "pop": "BGO1", "lat": 60.4, "lon": 5.3}
    assert (data["transport"], data["profile"], data["role"]) == ("netconf", "running", "pe")
    assert data["access_ports"] == ["access0"]


def test_only_the_owner_can_read_the_credentials_and_use_the_socket(directory: Path) -> None:
    for name in ("credentials.yaml", "control.sock"):
        assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600


def test_the_topology_is_left_in_the_directory(directory: Path) -> None:
    assert load_topology(directory / "topology.json").name == "tiny"


def test_status_names_every_router_with_its_ports(directory: Path) -> None:
    found = answer("status", directory=directory)
    assert found["schema_version"] == 1
    assert found["topology"] == "tiny"
    assert [(r["name"], r["profile"]) for r in found["routers"]] == [("r1", "full"), ("r2", "running")]
    assert found["pid"] == int((directory / "pid").read_text())
    table = run("status", directory=directory).stdout
    assert "NETCONF PORT" in table
    assert str(found["routers"][0]["netconf_port"]) in table


def test_a_second_lab_in_the_same_directory_is_refused(directory: Path) -> None:
    pid = (directory / "pid").read_text().strip()
    for words in (("up",), ("up", "--detach")):
        again = run(*words, directory=directory)
        assert again.exit_code == 1
        assert f"a lab is running in {directory} (pid {pid})" in again.stderr
        assert f"accord lab down --dir {directory}" in again.stderr
    assert is_running(directory)


def test_a_directory_is_taken_from_the_moment_a_lab_starts_there(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from lab.home import occupied\n"
        "with occupied(pathlib.Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        refused = run("up", directory=tmp_path)
        assert f"a lab is running in {tmp_path} (pid {process.pid})" in refused.stderr
        with pytest.raises(ControlError, match=f"pid {process.pid}"), occupied(tmp_path):
            pytest.fail("two labs in one directory")
        process.communicate("", timeout=PATIENCE_SECONDS)
    assert list(tmp_path.iterdir()) == []
    with tenant(tmp_path) as nobody:
        assert nobody is None


def test_down_waits_for_the_end_of_the_process_and_removes_its_files(tmp_path: Path) -> None:
    home = tmp_path / "lab"
    (tmp_path / "tiny.yaml").write_text(TINY)
    words = ["--topology", str(tmp_path / "tiny.yaml"), "--profile", "restconf"]
    assert run("up", *words, "--detach", directory=home).exit_code == EXITS_OK
    (home / "mine.txt").write_text("not the lab's")
    with tenant(home) as running:
        assert running is not None
        assert not running.has_exited()
        assert answer("down", directory=home)["items"] == [{"pid": running.pid}]
        assert running.has_exited()
    assert [path.name for path in home.iterdir()] == ["mine.txt"]


def test_what_a_killed_lab_left_is_removed_by_down_and_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    words = ["--topology", str(tmp_path / "tiny.yaml"), "--profile", "restconf", "--detach"]
    home = tmp_path / "lab"
    for _ in range(2):
        assert run("up", *words, directory=home).exit_code == EXITS_OK
        with tenant(home) as running:
            assert running is not None
            os.kill(running.pid, signal.SIGKILL)
            deadline = time.monotonic() + PATIENCE_SECONDS
            while not running.has_exited():
                assert time.monotonic() < deadline
        assert (home / "inventory.yaml").exists()
    done = run("down", directory=home)
    assert done.exit_code == EXITS_OK
    assert f"the lab in {home} was dead already" in done.stderr
    assert list(home.iterdir()) == []


def test_the_help_of_fault_tells_what_each_does() -> None:
    text = CliRunner().invoke(app, ["fault", "--help"], env={"COLUMNS": "110"}).stdout
    for fault in Fault:
        assert f"{fault:<12}{MEANINGS[fault]}" in text


def test_an_edit_that_cannot_be_read_is_named(directory: Path, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    for content, message in ((b"\xff\xfe", f"cannot read the edit {edit}"), (b"<a>", "r1: the edit is not XML")):
        edit.write_bytes(content)
        done = run("drift", "r1", "--edit", str(edit), directory=directory)
        assert done.exit_code == 1
        assert message in done.stderr


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--first-port", str(port), directory=tmp_path)
    assert done.exit_code == 1
    assert str(port) in done.stderr
    assert "--first-port" in done.stderr


def test_a_fault_scripted_from_the_command_line_strikes(directory: Path) -> None:
    (rule,) = answer("fault", "r1", "get-config", "close", directory=directory)["items"]
    assert (rule["router"], rule["action"], rule["phase"]) == ("r1", "close", "before")
    session = connect(directory, "r1")
    with pytest.raises((SessionCloseError, TransportError, OSError)):
        session.get_config("running")
    assert answer("faults", directory=directory)["items"] == []
    with connect(directory, "r1") as session:
        session.get_config("running")


def test_faults_can_be_cleared(directory: Path) -> None:
    answer("fault", "*", "kill-session", "delay", "--seconds", "1", "--count", "0", directory=directory)
    assert len(answer("faults", directory=directory)["items"]) == 1
    assert answer("faults", "--clear", directory=directory)["items"] == [{"cleared": 1}]
    assert answer("faults", directory=directory)["items"] == []


def test_drift_changes_running_behind_everybodys_back(directory: Path) -> None:
    with connect(directory, "r1") as session:
        before = session.get_config("running").data_xml
        answer("drift", "r1", "--description", "who was that", directory=directory)
        after = session.get_config("running").data_xml
    assert "who was that" not in before
    assert "who was that" in after


def test_drift_takes_a_whole_edit(directory: Path, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    edit.write_text('<router xmlns="urn:accord:router"><description>moved to rack 7</description></router>')
    answer("drift", "r2", "--edit", str(edit), directory=directory)
    with connect(directory, "r2") as session:
        assert "moved to rack 7" in session.get_config("running").data_xml


@pytest.mark.parametrize(
    "words,message",
    [
        (("drift", "r9"), "no router 'r9'"),
        (("drift", "r1", "--interface", "xe-9"), "interface xe-9 is not configured"),
        (("fault", "r9", "get", "close"), "no router 'r9'"),
        (("link", "canal", "down"), "no link 'canal'"),
        (("reboot", "r9"), "no router 'r9'"),
    ],
)
def test_what_does_not_exist_is_named(directory: Path, words: tuple[str, ...], message: str) -> None:
    done = run(*words, directory=directory)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stdout == ""


def test_an_edit_the_router_refuses_changes_nothing(directory: Path, tmp_path: Path) -> None:
    edit = tmp_path / "edit.xml"
    edit.write_text('<router xmlns="urn:accord:router"><asn>many</asn></router>')
    done = run("drift", "r1", "--edit", str(edit), directory=directory)
    assert done.exit_code == 1
    assert "r1 refuses the change" in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("fault", "r1", "get", "explode"),
        ("fault", "r1", "get", "huge"),
        ("fault", "r1", "get", "close", "--nth", "0"),
        ("link", "fjord", "sideways"),
        ("link", "fjord", "up", "--silent"),
        ("link", "fjord", "down", "--loss", "2%"),
        ("link", "fjord", "down", "--delay", "5"),
        ("link", "fjord", "up", "--loss", "101%"),
        ("link", "fjord", "up", "--loss", "much"),
        ("up", "--plane", "paper"),
        ("up", "--profile-for", "r1"),
        ("up", "--routers", "1"),
        ("up", "--routers", "5"),
        ("frobnicate",),
    ],
)
def test_wrong_words_are_usage_errors(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(*words, directory=tmp_path)
    assert done.exit_code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words,message",
    [
        (("up", "--topology", "sndlib/atlantis"), "topohub has no topology of that name"),
        (("up", "--topology", "absent.yaml"), "cannot read it"),
        (("up", "--profile", "magic"), "there is no profile magic"),
        (("up", "--detach", "--profile-for", "r77=full"), "has no router r77"),
        (("status",), "no lab is running"),
        (("down",), "no lab is running"),
    ],
)
def test_a_failure_says_what_and_what_next(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    done = run(*words, directory=tmp_path)
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_link_that_is_cut_is_down_in_the_status(directory: Path) -> None:
    answer("link", "fjord", "down", directory=directory)
    assert answer("status", directory=directory)["links"] == {"fjord": "down"}
    answer("link", "fjord", "up", directory=directory)
    assert answer("status", directory=directory)["links"] == {"fjord": "up"}


def test_a_silent_cut_keeps_the_ports_up_and_the_status_knows_the_plane(directory: Path) -> None:
    answer("link", "fjord", "down", "--silent", directory=directory)
    status = answer("status", directory=directory)
    assert (status["plane"], status["links"]) == ("memory", {"fjord": "down"})
    with connect(directory, "r1") as session:
        assert "<oper-status>down" not in session.get().data_xml
    answer("link", "fjord", "up", directory=directory)


def test_a_reboot_drops_the_session_and_keeps_the_port(directory: Path) -> None:
    port = answer("status", directory=directory)["routers"][0]["netconf_port"]
    session = connect(directory, "r1")
    answer("reboot", "r1", directory=directory)
    with pytest.raises((SessionCloseError, TransportError, OSError)):
        session.get_config("running")
    assert answer("status", directory=directory)["routers"][0]["netconf_port"] == port
    with connect(directory, "r1") as session:
        session.get_config("running")


@pytest.mark.parametrize(
    "operation,members,message",
    [
        ("explode", {}, "the lab cannot explode: it can status"),
        ("drift", {}, "drift: router: Field required"),
        ("status", {"verbose": True}, "verbose: Extra inputs are not permitted"),
        ("fault", {"router": "r1", "rpc": "get", "action": "delay"}, "a delay needs seconds"),
    ],
)
def test_the_control_socket_refuses_nonsense(
    directory: Path, operation: str, members: dict[str, object], message: str
) -> None:
    with pytest.raises(ControlError, match=message):
        ask(directory, operation, **members)


def test_the_directory_is_the_one_given_else_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCORD_LAB_DIR", "/elsewhere")
    assert lab_directory() == Path("/elsewhere")
    assert lab_directory(Path("here")) == Path("here")
    monkeypatch.delenv("ACCORD_LAB_DIR")
    assert lab_directory() == Path("var/lab")


def test_a_lab_in_the_foreground_ends_with_its_signal(tmp_path: Path) -> None:
    topology = tmp_path / "tiny.yaml"
    topology.write_text(TINY)
    words = ["up", "--topology", str(topology), "--profile", "restconf", "-o", "json", "--dir", str(tmp_path)]
    command = [sys.executable, "-m", "lab.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr is not None
        while "lab is up" not in (line := process.stderr.readline()):
            assert line, "the lab ended by itself"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == EXITS_OK
    assert [router["name"] for router in json.loads(output)["routers"]] == ["r1", "r2"]
    assert not (tmp_path / "control.sock").exists()
    assert not (tmp_path / "pid").exists()


def test_a_lab_lives_in_a_directory_with_a_very_long_name(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 120)
    topology = tmp_path / "tiny.yaml"
    topology.write_text(TINY)
    started = run("up", "--topology", str(topology), "--profile", "restconf", "--detach", directory=home)
    assert started.exit_code == EXITS_OK, started.stderr
    assert run("down", directory=home).exit_code == EXITS_OK


@pytest.mark.parametrize(
    "line,message",
    [
        (b"not json\n", "the request is not JSON"),
        (b"[1]\n", "a request is an object"),
        (b'{"operation": 7}\n', "a request is an object"),
    ],
)
def test_the_control_socket_survives_what_is_no_request(directory: Path, line: bytes, message: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection, _short_path(directory) as path:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(path)
        connection.sendall(line)
        with connection.makefile("rb") as answers:
            assert message in json.loads(answers.readline())["error"]
            connection.sendall(b'{"operation": "faults"}\n')
            assert json.loads(answers.readline())["ok"]


def test_the_control_socket_survives_a_client_that_leaves(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as connection, _short_path(directory) as path:
        connection.connect(path)
        connection.sendall(b'{"operation": "sta')
    assert is_running(directory)
