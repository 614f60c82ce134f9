"""The command line without a daemon: usage, configuration, inventory files, tokens, completion, plug-ins."""

import importlib.metadata
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from controller.cli.main import main
from controller.northbound.auth import load_tokens


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


Accord = Callable[..., Result]


@pytest.fixture
def accord(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Accord:
    for name in list(os.environ):
        if name.startswith("ACCORD_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))

    def run(*words: str) -> Result:
        capfd.readouterr()
        code = main(words)
        out, err = capfd.readouterr()
        return Result(code, out, err)

    return run


INVENTORY = """\
# our routers
hosts:
  pe-london:          # the first one
    hostname: 192.0.2.1
    groups: [pe]
  # more to come

groups:
  pe:
    data:
      credential: routers
      role: pe
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    credentials = tmp_path / "credentials.yaml"
    credentials.write_text("credentials: {routers: {username: accord, password: not-a-secret}}\n")
    credentials.chmod(0o600)
    file = tmp_path / "accord.yaml"
    file.write_text("state_dir: state\ninventory: inventory.yaml\ncredentials: credentials.yaml\ntokens: tokens.yaml\n")
    return file


def test_help_gives_examples_before_options(accord: Accord) -> None:
    for words in (("--help",), ("device", "check-sync", "--help"), ("commit", "--help")):
        result = accord(*words)
        assert result.code == 0
        assert 0 < result.out.index("Examples:") < result.out.index("Options:")
        assert "  accord " in result.out


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("device", "list", "--nonsense"),
        ("device", "show"),
        ("diff",),
        ("diff", "plan-1", "--rollback", "tx-1"),
        ("diff", "--repair", "a", "--all"),
        ("diff", "plan-1", "--replace"),
        ("diff", "-f", "/nonexistent/service.yaml"),
        ("device", "list", "-o", "xml"),
        ("commit", "plan-1", "--yes", "--strict", "--warn"),
        ("commit", "plan-1", "--yes", "--confirm-timeout", "1"),
        ("intent", "submit"),
        ("device", "check-sync"),
        ("device", "check-sync", "pe-london", "--all"),
        ("token", "add", "alice"),
        ("completion", "tcsh"),
        (),
        ("device",),
    ],
)
def test_a_usage_error_is_64_with_nothing_on_stdout(accord: Accord, words: tuple[str, ...]) -> None:
    result = accord(*words)
    assert (result.code, result.out) == (64, "")
    assert result.err


def test_an_absent_daemon_is_69(accord: Accord) -> None:
    result = accord("status", "--url", "https://127.0.0.1:1")
    assert (result.code, result.out) == (69, "")
    assert "accord serve" in result.err


def test_a_token_does_not_travel_in_the_clear(accord: Accord) -> None:
    assert accord("status", "--url", "http://192.0.2.1").code == 78
    assert accord("status", "--url", "nonsense").code == 78


def test_missing_files_of_the_connection_are_78(accord: Accord) -> None:
    assert accord("status", "--token-file", "/nonexistent").code == 78
    assert accord("status", "--ca", "/nonexistent").code == 78


def test_defaults_come_from_the_persons_file_and_unknown_keys_are_refused(accord: Accord, tmp_path: Path) -> None:
    file = tmp_path / "home" / "accord" / "cli.yaml"
    file.parent.mkdir(parents=True)
    file.write_text("url: https://127.0.0.1:2\noutput: json\n")
    assert "https://127.0.0.1:2" in accord("status").err
    assert "https://127.0.0.1:1" in accord("status", "--url", "https://127.0.0.1:1").err
    file.write_text("urk: https://127.0.0.1:2\n")
    result = accord("status")
    assert result.code == 78
    assert "urk" in result.err


def test_config_check_passes_a_good_configuration(accord: Accord, config: Path) -> None:
    assert accord("token", "add", "alice", "--role", "reader", "--config", str(config)).code == 0
    result = accord("config", "check", "--config", str(config), "-o", "json")
    assert result.code == 0, result.err
    assert '"devices": 1' in result.out


@pytest.mark.parametrize("fault", ["nonsense: 1\n", "listen: {port: many}\n", "a: b: c\n", "inventory: nowhere.yaml\n"])
def test_config_check_ends_with_78_where_something_is_wrong(accord: Accord, config: Path, fault: str) -> None:
    accord("token", "add", "alice", "--role", "reader", "--config", str(config))
    text = config.read_text().replace("inventory: inventory.yaml\n", "") if "inventory" in fault else config.read_text()
    config.write_text(text + fault)
    result = accord("config", "check", "--config", str(config))
    assert (result.code, result.out) == (78, "")
    assert "error: " in result.err


def test_serve_with_a_bad_configuration_is_78(accord: Accord, tmp_path: Path) -> None:
    assert accord("serve", "--config", str(tmp_path / "none.yaml")).code == 78
    (tmp_path / "bad.yaml").write_text("nonsense: 1\n")
    assert accord("serve", "--config", str(tmp_path / "bad.yaml")).code == 78


def test_config_show_names_the_origin_of_each_value(
    accord: Accord, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_LISTEN__PORT", "9443")
    result = accord("config", "show", "--origin", "--config", str(config), "-o", "yaml")
    rows = {row["key"]: row for row in yaml.safe_load(result.out)["items"]}
    assert rows["listen.port"] == {
        "key": "listen.port",
        "value": "9443",
        "origin": "environment ACCORD_LISTEN__PORT",
    }
    assert rows["listen.host"]["origin"] == "default"
    assert rows["state_dir"]["origin"].startswith("file ")


def test_commands_without_the_daemon_do_not_need_the_token_file(
    accord: Accord, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCORD_TOKEN_FILE", "/nonexistent")
    assert accord("config", "show", "--config", str(config)).code == 0
    assert accord("status").code == 78


def test_a_file_of_words_that_is_no_text_fails_plainly(accord: Accord, tmp_path: Path) -> None:
    (tmp_path / "intent.txt").write_bytes(b"\xff\xfe")
    result = accord("intent", "submit", "-f", str(tmp_path / "intent.txt"))
    assert (result.code, result.out) == (1, "")
    assert "utf-8" in result.err


def test_a_token_is_printed_once_and_only_its_hash_is_kept(accord: Accord, config: Path) -> None:
    result = accord("token", "add", "alice", "--role", "operator", "--service", "acme-*", "--config", str(config))
    assert result.code == 0, result.err
    token = result.out.strip()
    file = config.parent / "tokens.yaml"
    assert token not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    principal = load_tokens(file).authenticate(token, 0.0)
    assert (principal.name, principal.services) == ("alice", ("acme-*",))
    assert accord("token", "add", "alice", "--role", "reader", "--config", str(config)).code == 1


def test_a_device_is_added_without_touching_what_is_there(accord: Accord, config: Path) -> None:
    words = ("device", "add", "pe-paris", "--hostname", "192.0.2.2", "--group", "pe", "--city", "Paris")
    result = accord(*words, "--config", str(config))
    assert result.code == 0, result.err
    assert "reload" in result.err
    text = (config.parent / "inventory.yaml").read_text()
    added = "  pe-paris:\n    hostname: 192.0.2.2\n    groups:\n    - pe\n    data:\n      site:\n        city: Paris\n"
    assert text == INVENTORY.replace("    groups: [pe]\n", f"    groups: [pe]\n{added}")
    again = accord(*words, "--config", str(config))
    assert again.code == 4
    assert (config.parent / "inventory.yaml").read_text() == text


@pytest.mark.parametrize(
    "wrong", [("--group", "nowhere"), ("--group", "pe", "--profile", "nonsense"), ("--credential", "nobody")]
)
def test_a_device_that_would_break_the_inventory_is_not_added(
    accord: Accord, config: Path, wrong: tuple[str, ...]
) -> None:
    result = accord("device", "add", "pe-paris", *wrong, "--config", str(config))
    assert (result.code, result.out) == (78, "")
    assert (config.parent / "inventory.yaml").read_text() == INVENTORY
    assert sorted(path.name for path in config.parent.iterdir() if "inventory" in path.name) == ["inventory.yaml"]


@pytest.mark.parametrize("text", ["", "hosts: {}\n", "hosts: {a: {data: {credential: routers}}}\n", "groups:\n  pe:\n"])
def test_a_device_is_added_to_an_inventory_of_any_style(accord: Accord, config: Path, text: str) -> None:
    file = config.parent / "inventory.yaml"
    file.write_text(text)
    result = accord("device", "add", "b", "--credential", "routers", "--config", str(config))
    assert result.code == 0, result.err
    before, after = yaml.safe_load(text) or {}, yaml.safe_load(file.read_text())
    assert after["hosts"].pop("b") == {"data": {"credential": "routers"}}
    assert (after.pop("hosts") or {}) == (before.pop("hosts", None) or {})
    assert after == before


def test_a_device_is_added_to_an_inventory_in_three_files(accord: Accord, config: Path) -> None:
    directory = config.parent / "split"
    directory.mkdir()
    (directory / "hosts.yaml").write_text("a:\n  hostname: 192.0.2.1\n")
    (directory / "defaults.yaml").write_text("data: {credential: routers}\n")
    result = accord("device", "add", "b", "--inventory", str(directory), "--config", str(config))
    assert result.code == 0, result.err
    assert list(yaml.safe_load((directory / "hosts.yaml").read_text())) == ["a", "b"]
    assert sorted(path.name for path in directory.iterdir()) == ["defaults.yaml", "hosts.yaml"]


TOPOLOGY = """\
name: lab
topology:
  nodes:
    r1: {kind: nokia_srlinux, mgmt-ipv4: 192.0.2.9}
    pc: {kind: linux}
"""


def test_an_import_is_printed_or_merged_and_says_what_it_left_out(accord: Accord, config: Path) -> None:
    topology = config.parent / "lab.clab.yml"
    topology.write_text(TOPOLOGY)
    words = ("device", "import", str(topology), "--from", "containerlab", "--credential", "routers")
    printed = accord(*words)
    assert printed.code == 0, printed.err
    assert list(yaml.safe_load(printed.out)["hosts"]) == ["r1"]
    assert "linux" in printed.err
    merged = accord(*words, "--merge", "--config", str(config))
    assert merged.code == 0, merged.err
    inventory = yaml.safe_load((config.parent / "inventory.yaml").read_text())
    assert list(inventory["hosts"]) == ["pe-london", "r1"]
    assert inventory["groups"]["imported-containerlab"] == {"data": {"credential": "routers"}}
    assert "# our routers" in (config.parent / "inventory.yaml").read_text()
    assert accord(*words, "--merge", "--config", str(config)).code == 4


def test_audit_of_a_missing_or_foreign_file_fails(accord: Accord, tmp_path: Path) -> None:
    assert accord("audit", "verify", "--log", str(tmp_path / "none")).code == 1
    (tmp_path / "foreign").write_text("not a database")
    assert accord("audit", "verify", "--log", str(tmp_path / "foreign")).code == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(accord: Accord, shell: str) -> None:
    result = accord("completion", shell)
    assert result.code == 0
    assert "_ACCORD_COMPLETE" in result.out


def test_a_plug_in_is_listed_and_its_exit_codes_are_ours(accord: Accord, tmp_path: Path) -> None:
    assert "lab " in accord("--help").out
    assert accord("lab", "nonsense").code == 64
    assert accord("lab", "status", "--dir", str(tmp_path)).code == 1


def test_help_lists_a_plug_in_without_loading_it() -> None:
    program = """
import sys
from controller.cli.main import main
main(["--help"])
heavy = {"lab", "lxml", "pydantic", "asyncio", "requests", "yaml"} & set(sys.modules)
sys.exit(f"loaded: {sorted(heavy)}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "lab " in done.stdout
    assert "mulated routers" in done.stdout


class _Broken:
    name = "broken"
    module = "no_such_package.cli"

    def load(self) -> object:
        raise ModuleNotFoundError("No module named 'topohub'", name="topohub")


def test_a_plug_in_without_its_libraries_says_which_extra_to_install(
    accord: Accord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda **_: [_Broken()])
    assert "broken" in accord("--help").out
    result = accord("broken", "up", "--whatever")
    assert result.code == 1
    assert "topohub" in result.err
    assert "pip install 'accord[broken]'" in result.err


def test_the_version_is_told(accord: Accord) -> None:
    assert accord("--version").out.startswith("accord ")


def test_making_a_token_needs_no_token(accord: Accord, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACCORD_TOKEN_FILE", str(tmp_path / "not-there-yet"))
    monkeypatch.setenv("ACCORD_CA", str(tmp_path / "nor-this"))
    result = accord("token", "add", "me", "--role", "operator", "--tokens", str(tmp_path / "tokens.yaml"))
    assert result.code == 0
    assert result.out.startswith("accord_")
    assert result.out.strip() not in (tmp_path / "tokens.yaml").read_text()


@pytest.mark.parametrize("days", ["0", "99999999", "-1", "x"])
def test_a_token_lives_for_a_number_of_days_that_there_is(accord: Accord, tmp_path: Path, days: str) -> None:
    words = ("token", "add", "me", "--role", "reader", "--tokens", str(tmp_path / "tokens.yaml"), "--days", days)
    assert accord(*words).code == 64


@pytest.mark.parametrize("token", ["two\nlines", "two words", "caf\xe9", "\x1b[31m"])
def test_what_is_no_token_is_not_shown(accord: Accord, tmp_path: Path, token: str) -> None:
    (tmp_path / "token").write_text(token)
    result = accord("device", "list", "--token-file", str(tmp_path / "token"))
    assert result.code == 78
    assert "what is given as the token is none" in result.err
    assert token not in result.err
