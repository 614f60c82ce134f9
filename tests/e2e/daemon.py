"""A real daemon in a process of its own, on routers of a real lab, for tests that want the whole of it.

    with lab_of_routers(tmp_path / "lab") as lab, DaemonProcess(tmp_path / "accord", lab) as daemon:
        daemon.get("/api/v1/status")

`kill()` is kill -9, `stop()` SIGTERM, `start()` brings it up again on the same state. Everything it wrote to stderr is
in `daemon.stderr`.
"""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2
import yaml

from controller.northbound.auth import Role, add_token, new_token
from tests.patience import PATIENCE_SECONDS
from tests.ports import kept_port

ROOT = Path(__file__).parents[2]
SERVE = (sys.executable, "-m", "controller.cli.main", "serve")
"""`accord serve`; `--config FILE` follows."""


def eventually(condition: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """What the condition gives as soon as it is true; fails naming `what` at the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never within {seconds} s: {what}")
        time.sleep(0.05)
    return found


def clean_environment(**more: str) -> dict[str, str]:
    """The environment for a process of ours: no settings of the caller's, compiled modules kept between starts."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ACCORD_")}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    cache = Path(tempfile.gettempdir()) / f"accord-tests-pycache-{os.getuid()}"
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(cache), **more}


def lab_command(*arguments: str) -> str:
    """Run `accord lab ...` and give its output."""
    done = subprocess.run(
        [sys.executable, "-m", "lab.cli", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def lab_of_routers(directory: Path, *arguments: str) -> Iterator[Path]:
    """A running lab (the demo's topology unless `arguments` say otherwise); gives its directory."""
    lab_command("up", "--dir", str(directory), "--detach", *arguments)
    try:
        yield directory
    finally:
        lab_command("down", "--dir", str(directory))


@dataclass(frozen=True)
class Result:
    """What a command of `accord` came to."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


class DaemonProcess:
    """`accord serve` in `directory`, with the inventory of a lab. `tokens` by role; the operator's is used."""

    def __init__(
        self,
        directory: Path,
        lab: Path,
        *,
        settings: Mapping[str, object] | None = None,
        environment: Mapping[str, str] | None = None,
        command: Sequence[str] = SERVE,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.command = tuple(command)
        self.environment = dict(environment or {})
        self.file = directory / "accord.yaml"
        self.state = directory / "state"
        self.log = directory / "stderr.log"
        self.tokens: dict[str, str] = {}
        self.process: subprocess.Popen[bytes] | None = None
        document: dict[str, object] = {
            "state_dir": str(self.state),
            "inventory": str(lab / "inventory.yaml"),
            "credentials": str(lab / "credentials.yaml"),
            "tokens": str(directory / "tokens.yaml"),
            "listen": {"port": kept_port()},
        }
        self.configure(**{**document, **(settings or {})})
        self.port = int(self.settings["listen"]["port"])
        for role in Role:
            self.add_token(role.value, [role])

    # -- configuration -----------------------------------------------------------------------------------------

    def configure(self, **settings: object) -> None:
        """Change settings in the file; the daemon takes them at a start or a reload."""
        document = yaml.safe_load(self.file.read_text()) if self.file.exists() else {}
        self.file.write_text(yaml.safe_dump({**document, **settings}))

    @property
    def settings(self) -> dict[str, Any]:
        """What the file says."""
        return dict(yaml.safe_load(self.file.read_text()))

    def add_token(self, name: str, roles: Sequence[Role], services: Sequence[str] = ("*",)) -> str:
        """A new token, kept in `tokens` by its name."""
        token, entry = new_token(name, roles, services)
        add_token(self.directory / "tokens.yaml", entry)
        self.tokens[name] = token
        return token

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def certificate(self) -> Path:
        """The self-signed certificate to trust."""
        return self.state / "tls" / "server.crt"

    # -- the process -------------------------------------------------------------------------------------------

    def start(self, *, wait: bool = True) -> Self:
        """Start it; returns when it answers."""
        with self.log.open("ab") as stderr:
            self.process = subprocess.Popen(
                [*self.command, "--config", str(self.file)],
                cwd=self.directory,
                env=clean_environment(**self.environment),
                stdout=stderr,
                stderr=stderr,
            )
        if wait:
            eventually(self._answers, f"the daemon of {self.file} answers", PATIENCE_SECONDS)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"the daemon ended with {self.process.returncode}: {self.stderr}"
        if not self.certificate.exists():
            return False
        try:
            return self.get("/api/v1/status").status_code == 200
        except httpx2.TransportError:
            return False

    def wait_until_read(self, devices: int | None = None, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Wait until every device (or so many) was read once; gives the devices."""

        def read() -> list[dict[str, Any]] | None:
            found: list[dict[str, Any]] = self.get("/api/v1/devices").json()
            known = sum(1 for device in found if device["is_known"])
            return found if known >= (devices or len(found)) else None

        found: list[dict[str, Any]] = eventually(read, "every device was read", seconds)
        return found

    @property
    def pid(self) -> int:
        """Of the daemon itself."""
        assert self.process is not None
        return self.process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def reload(self) -> list[dict[str, Any]]:
        """SIGHUP; returns its log lines about this reload when it is done."""
        before = self._reloads()
        self.signal(signal.SIGHUP)
        return list(eventually(lambda: self._reloads()[len(before) :], "the reload is done"))

    def _reloads(self) -> list[dict[str, Any]]:
        return [line for line in self.log_lines if line["event"] in {"reloaded", "reload_refused"}]

    def stop(self, seconds: float = PATIENCE_SECONDS) -> int:
        """SIGTERM; gives the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = PATIENCE_SECONDS) -> int:
        """Wait for its end; gives the exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    @property
    def stderr(self) -> str:
        """All it has said so far, over all its lives."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    @property
    def log_lines(self) -> list[dict[str, Any]]:
        """Its JSON log lines; the last one may be half written."""
        whole = [line for line in self.stderr.splitlines(keepends=True) if line.endswith("\n")]
        return [json.loads(line) for line in whole if line.startswith("{")]

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.is_running:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.kill()

    # -- its API -----------------------------------------------------------------------------------------------

    def client(self, token: str | None = None, **options: Any) -> httpx2.Client:
        """A client that trusts its certificate; `token` names one of `tokens` (default: the operator), "" for none."""
        name = "operator" if token is None else token
        headers = {"Authorization": f"Bearer {self.tokens.get(name, name)}"} if name else {}
        options = {"timeout": 2 * PATIENCE_SECONDS, **options}
        trusted = ssl.create_default_context(cafile=self.certificate)
        return httpx2.Client(base_url=self.url, headers=headers, verify=trusted, **options)

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx2.Response:
        """One request."""
        with self.client(token) as client:
            return client.request(method, path, **options)

    def get(self, path: str, **options: Any) -> httpx2.Response:
        """GET."""
        return self.request("GET", path, **options)

    def post(self, path: str, document: object = None, **options: Any) -> httpx2.Response:
        """POST a JSON document."""
        return self.request("POST", path, json=document if document is not None else {}, **options)

    def intend(self, text: str) -> dict[str, Any]:
        """Submit a sentence that is understood; gives the outcome with its plan."""
        response = self.post("/api/v1/intents", {"text": text})
        assert response.status_code == 201, response.text
        return dict(response.json())

    def commit(self, plan: str, **members: object) -> dict[str, Any]:
        """Commit a plan; gives the transaction at its verdict."""
        response = self.post("/api/v1/transactions", {"plan": plan, **members})
        assert response.status_code == 201, response.text
        return dict(response.json())
