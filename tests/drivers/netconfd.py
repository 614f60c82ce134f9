"""Owns starting Debian's netconfd behind an OpenSSH of its own, for tests; needs no rights beyond the caller's."""

import asyncio
import getpass
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any, Self

import asyncssh

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, Secret, Transport
from tests.patience import PATIENCE_SECONDS
from tests.ports import kept_port

PROGRAMS = {
    "netconfd": "/usr/sbin/netconfd",
    "netconf-subsystem": "/usr/sbin/netconf-subsystem",
    "sshd": "/usr/sbin/sshd",
}
MODULES = Path("/usr/share/yuma/modules")
PROBE = Path(__file__).parent / "yang"
NAMESPACE = "urn:accord:tests:driver-probe"


def missing() -> str:
    """Return what is not installed, empty when all is there."""
    absent = [name for name, path in PROGRAMS.items() if not Path(path).exists()]
    return f"not installed: {', '.join(absent)} (apt install netconfd openssh-server)" if absent else ""


class Netconfd:
    """One server on an ephemeral port, everything it writes below `home`."""

    def __init__(self, home: Path, *, target: str = "candidate", startup: bool = False) -> None:
        self.home = home
        self.has_startup = startup
        self.target_datastore = target
        self._key = asyncssh.generate_private_key("ssh-ed25519")
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.host_key = self._host_key.export_public_key().decode().strip()
        self._processes: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Self:
        (self.home / "data").mkdir(exist_ok=True)
        self.port = kept_port()
        self._socket = self.home / "ncx.sock"
        self._write_keys()
        try:
            self._start(*self._netconfd_command())
            await self._until(self._socket.exists)
            self._start(PROGRAMS["sshd"], "-D", "-e", "-f", str(self._sshd_configuration()))
            await self._until(self._listens)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for process in reversed(self._processes):
            for child in _descendants(process.pid):
                _kill(child)
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)

    def pause(self) -> None:
        """Let the server stop answering, its connections open."""
        self._processes[0].send_signal(signal.SIGSTOP)

    def drop_connections(self) -> None:
        """Kill what serves the SSH connections, not what listens."""
        for child in _descendants(self._processes[1].pid):
            _kill(child)

    def target(self, **changes: Any) -> DeviceTarget:
        values: dict[str, Any] = {
            "name": DeviceName("netconfd"),
            "hostname": "127.0.0.1",
            "port": self.port,
            "transport": Transport.NETCONF,
            "username": getpass.getuser(),
            "private_key": Secret(self._key.export_private_key().decode()),
            "host_key": self.host_key,
            "quirks": frozenset({"no-validate", "cancel-unlocked", "pause-after-hello"}),
        }
        return DeviceTarget(**(values | changes))

    def _netconfd_command(self) -> list[str]:
        return [
            PROGRAMS["netconfd"],
            f"--home={self.home}",
            f"--yuma-home={self.home}",  # without it, servers started together share one file
            f"--log={self.home / 'log'}",
            "--module=driver-probe",
            f"--modpath={PROBE}:{MODULES}",
            f"--ncxserver-sockname={self._socket}",
            f"--port={self.port}",
            f"--superuser={getpass.getuser()}",
            f"--target={self.target_datastore}",
            f"--with-startup={str(self.has_startup).lower()}",
            "--no-startup",
        ]

    def _write_keys(self) -> None:
        self._host_key.write_private_key(str(self.home / "hostkey"))
        (self.home / "hostkey").chmod(0o600)
        (self.home / "authorized").write_bytes(self._key.export_public_key())

    def _sshd_configuration(self) -> Path:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        subsystem = f"{PROGRAMS['netconf-subsystem']} --ncxserver-sockname={self.port}@{self._socket}"
        path = self.home / "sshd_config"
        path.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.home / 'hostkey'}\nPidFile none\n"
            f"AuthorizedKeysFile {self.home / 'authorized'}\nPasswordAuthentication no\nUsePAM no\nStrictModes no\n"
            f'PermitRootLogin prohibit-password\nSubsystem netconf "{subsystem}"\n'
        )
        return path

    def _start(self, *command: str) -> None:
        log = (self.home / f"{Path(command[0]).name}.out").open("wb")
        with log:
            self._processes.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home)
            )

    async def _until(self, ready: Any) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not ready():
                if any(process.poll() is not None for process in self._processes):
                    raise RuntimeError(f"it ended: {self._output()}")
                await asyncio.sleep(0.02)

    def _output(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in self.home.glob("*.out"))

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _descendants(pid: int) -> list[int]:
    """Return the children of a process and theirs."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [found for child in map(int, children) for found in (*_descendants(child), child)]


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
