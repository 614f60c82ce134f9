"""The unit is as hard as promised, systemd understands the files, and the libraries live with the hardening."""

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.resources import shared_directory

UNITS = shared_directory("systemd")
ROOT = Path(__file__).parents[2]
MOST_EXPOSURE = 1.5


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian: apt install systemd)")
    return found


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat", "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def unit() -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    for line in (UNITS / "accord.service").read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            settings.setdefault(key, []).append(value)
    return settings


def test_the_exposure_of_the_unit_is_low() -> None:
    analyze = tool("systemd-analyze")
    result = run(analyze, "security", "--offline=true", str(UNITS / "accord.service"))
    level = re.search(r"exposure level for accord\.service: ([0-9.]+)", result.stdout)
    assert level is not None, result.stdout + result.stderr
    assert float(level.group(1)) <= MOST_EXPOSURE, result.stdout


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    text = (UNITS / "accord.service").read_text().replace("/opt/accord/bin/accord", "/bin/true")
    (tmp_path / "accord.service").write_text(text)
    result = run(analyze, "verify", "--man=no", str(tmp_path / "accord.service"))
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_user_directories_and_files_are_made(tmp_path: Path) -> None:
    sysusers, tmpfiles = tool("systemd-sysusers"), tool("systemd-tmpfiles")
    if os.geteuid() != 0:
        pytest.skip("only root may give files to other users")
    (tmp_path / "etc").mkdir()
    made = run(sysusers, f"--root={tmp_path}", str(UNITS / "accord.sysusers"))
    assert made.returncode == 0, made.stderr
    entry = next(line for line in (tmp_path / "etc/passwd").read_text().splitlines() if line.startswith("accord:"))
    uid = int(entry.split(":")[2])
    assert entry.endswith(":/usr/sbin/nologin")
    made = run(tmpfiles, f"--root={tmp_path}", "--create", str(UNITS / "accord.tmpfiles"))
    assert made.returncode == 0, made.stderr
    tokens, credentials = tmp_path / "etc/accord/tokens.yaml", tmp_path / "etc/accord/credentials.yaml"
    assert {(stat.S_IMODE(file.stat().st_mode), file.stat().st_uid) for file in (tokens,)} == {(0o600, uid)}
    assert (stat.S_IMODE(credentials.stat().st_mode), credentials.stat().st_uid) == (0o600, 0)
    assert stat.S_IMODE((tmp_path / "var/lib/accord").stat().st_mode) == 0o700


def test_the_unit_names_what_the_program_reads() -> None:
    settings = unit()
    assert settings["Type"] == ["notify"]
    assert settings["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert settings["ExecStart"] == ["/opt/accord/bin/accord serve"]
    names = [value.split(":")[0] for value in settings["LoadCredential"]]
    assert names == ["accord.credentials"]
    assert int(settings["WatchdogSec"][0]) >= 10


WITHOUT_WRITABLE_CODE = """
import ctypes, asyncio, sys
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
assert ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0) == 0
from pathlib import Path
import asyncssh, lxml.etree, netmiko, requests, ssl, uvicorn
from controller.adapters.clock import SystemClock
from controller.adapters.event_log_sqlite import SqliteEventLog
from controller.adapters.validation import l3sm_validator
from controller.ports import NewEvent

ssl.create_default_context()
asyncssh.generate_private_key("ssh-ed25519").sign(b"x", b"ssh-ed25519")
vpn = '{"ietf-l3vpn-svc:l3vpn-svc":{"vpn-services":{"vpn-service":[{"vpn-id":"a"}]}}}'
assert l3sm_validator().validate(vpn.encode()) == []
log = SqliteEventLog(Path(sys.argv[1]), clock=SystemClock())
asyncio.run(log.append([NewEvent("s", "t", {})], actor="me"))
log.close()
print("alive")
"""


def test_the_libraries_need_no_writable_executable_memory(tmp_path: Path) -> None:
    probe = "import ctypes;raise SystemExit(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0)"
    if subprocess.run([sys.executable, "-c", probe], check=False).returncode != 0:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    command = [sys.executable, "-c", WITHOUT_WRITABLE_CODE, str(tmp_path / "events.db")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.stdout == "alive\n", result.stderr
