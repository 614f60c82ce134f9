"""Owns a real FRR for tests: its daemons in a network namespace of their own, vtysh behind OpenSSH."""

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncssh

from controller.model.identifiers import DeviceName
from controller.ports import DeviceTarget, Secret, Transport
from tests.patience import PATIENCE_SECONDS
from tests.ports import kept_port

DAEMONS = ("zebra", "staticd", "bgpd")
_HOME = Path("/usr/lib/frr")


def why_not() -> str:
    """What is missing to run FRR here; empty when nothing is."""
    if not all((_HOME / daemon).exists() for daemon in DAEMONS) or not shutil.which("vtysh"):
        return "FRR is not installed (apt-get install frr)"
    if not Path("/usr/sbin/sshd").exists():
        return "OpenSSH's server is not installed (apt-get install openssh-server)"
    if os.geteuid() != 0:
        return "FRR's daemons and sshd need root to start"
    if not shutil.which("unshare") or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        return "network namespaces are not available"
    return ""


@asynccontextmanager
async def running_frr() -> AsyncIterator[DeviceTarget]:
    """Start everything, yield how to reach it, stop it by the process ids it was started with."""
    folder = Path(tempfile.mkdtemp(prefix="frr-"))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        user = pwd.getpwnam("frr")
        os.chown(folder, user.pw_uid, user.pw_gid)
        os.chmod(folder, 0o755)  # noqa: PTH101  # pathlib in a coroutine is refused by another rule
        processes.append(_start_daemons(folder))
        target, server = _start_sshd(folder)
        processes.append(server)
        await _until(lambda: all((folder / f"{daemon}.vty").exists() for daemon in DAEMONS), processes, folder)
        await _until(lambda: _listens(target.port), processes, folder)
        yield target
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            process.wait(10)
        shutil.rmtree(folder)


def _start_daemons(folder: Path) -> subprocess.Popen[bytes]:
    # All in one namespace, so that nothing they do to interfaces or routes reaches this machine's.
    commands = [
        f"{_HOME / daemon} -z {folder}/zserv.api --vty_socket {folder} -i {folder}/{daemon}.pid -P 0 "
        f'-f {folder}/{daemon}.conf --log file:{folder}/{daemon}.log -u frr -g frr & pids="$pids $!"'
        for daemon in DAEMONS
    ]
    script = "\n".join(["trap 'kill $pids' TERM", *commands, "wait", "wait"])
    return subprocess.Popen(["unshare", "-n", "sh", "-c", script], stderr=subprocess.DEVNULL)


def _start_sshd(folder: Path) -> tuple[DeviceTarget, subprocess.Popen[bytes]]:
    host, client = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    host.write_private_key(str(folder / "host"))
    (folder / "host").chmod(0o600)
    client.write_public_key(str(folder / "client.pub"))
    port = kept_port()
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile {folder}/sshd.pid\n"
        f"AuthorizedKeysFile {folder}/client.pub\nPasswordAuthentication no\nUsePAM no\nStrictModes no\n"
        f"PermitRootLogin prohibit-password\nForceCommand /usr/bin/vtysh --vty_socket {folder} -H /dev/null\n"
    )
    server = subprocess.Popen(
        ["/usr/sbin/sshd", "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
    )
    target = DeviceTarget(
        name=DeviceName("frr1"),
        hostname="127.0.0.1",
        port=port,
        transport=Transport.CLI,
        username="root",
        private_key=Secret(client.export_private_key().decode()),
        host_key=host.export_public_key().decode().strip(),
        device_type="cisco_ios",
    )
    return target, server


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


async def _until(condition, processes, folder) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            if any(process.poll() is not None for process in processes):
                logs = "\n".join(path.read_text() for path in folder.glob("*.log"))
                raise RuntimeError(f"a daemon ended at once: {logs}")
            await asyncio.sleep(0.05)
