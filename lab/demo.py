"""Owns the demonstration: the drafts' own request, walked through on emulated routers by the command line alone.

Draft ps-agentic-ai, Intent Based Service Delivery, steps a to e. Everything is done by `accord` as a user would do it;
what the routers hold is read by stock ncclient, which knows nothing of accord. Ends with 1 as soon as anything is not
as it should be.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml
from ncclient import manager

from lab.ports import held_port

REQUEST = "Create L3VPN service with 2 VPN sites in London and Paris using L3SM Service Model"
PROFILES = {"pe-paris": "running", "pe-frankfurt": "confirmed10", "pe-madrid": "restconf"}
_WAIT_SECONDS = 60.0


class DemoError(Exception):
    """Something was not as it should be."""


@dataclass(slots=True)
class Demo:
    """One run, in its own directory."""

    directory: Path
    colour: bool

    @property
    def lab(self) -> Path:
        """Where the lab keeps its files."""
        return self.directory / "lab"

    def say(self, text: str) -> None:
        """A heading."""
        start, end = ("\x1b[1;36m", "\x1b[0m") if self.colour else ("", "")
        print(f"\n{start}== {text}{end}", flush=True)

    def accord(self, *arguments: str, expect: int = 0, show: bool = True, most_lines: int = 60) -> str:
        """Run `accord` and print what a user would see; any other exit code than expected ends the demonstration."""
        if show:
            print(f"$ accord {' '.join(map(_quoted, arguments))}", flush=True)
        done = subprocess.run(
            [sys.executable, "-m", "controller.cli.main", *arguments],
            capture_output=True,
            text=True,
            env=self.environment,
            check=False,
            timeout=300,
        )
        if show:
            _print_some((done.stderr + done.stdout).rstrip(), most_lines)
        if done.returncode != expect:
            print(done.stderr, file=sys.stderr)
            raise DemoError(f"accord {' '.join(arguments)} ended with {done.returncode}, not {expect}")
        return done.stdout

    def json(self, *arguments: str, expect: int = 0) -> Any:
        """The same, for what it says as JSON."""
        return json.loads(self.accord(*arguments, "-o", "json", expect=expect, show=False))

    @property
    def environment(self) -> Mapping[str, str]:
        """What the commands need to find daemon and lab."""
        token = self.directory / "token"
        return {
            **os.environ,
            "ACCORD_LAB_DIR": str(self.lab),
            "ACCORD_URL": f"https://127.0.0.1:{self.port}",
            **({"ACCORD_TOKEN_FILE": str(token)} if token.exists() else {}),
            "ACCORD_CA": str(self.directory / "state" / "tls" / "server.crt"),
            "COLUMNS": "160",
        }

    @property
    def port(self) -> int:
        """The daemon's port, chosen once."""
        return int((self.directory / "port").read_text())

    # -- the parts -------------------------------------------------------------------------------------------------

    @contextmanager
    def running_lab(self) -> Iterator[None]:
        """Six routers of four kinds."""
        self.say("a network: six emulated routers, of four kinds that take part in a change differently")
        kinds = [word for name, profile in PROFILES.items() for word in ("--profile-for", f"{name}={profile}")]
        try:
            self.accord("lab", "up", "--detach", *kinds)
            yield
        finally:
            self.accord("lab", "down", show=False)

    @contextmanager
    def running_daemon(self) -> Iterator[None]:
        """The daemon over that network, with a token of its own."""
        self.say("the daemon, with its own certificate and a token for an operator")
        self._configure()
        log = (self.directory / "daemon.log").open("wb")
        command = [
            sys.executable,
            "-m",
            "controller.cli.main",
            "serve",
            "--config",
            str(self.directory / "accord.yaml"),
        ]
        print(f"$ accord serve --config {self.directory.name}/accord.yaml &")
        daemon = subprocess.Popen(command, stderr=log, stdout=log, env=self.environment)
        try:
            self._wait_until_ready(daemon)
            yield
        finally:
            daemon.terminate()
            code = daemon.wait(timeout=60)
            log.close()
        if code != 0:
            raise DemoError(f"the daemon ended with {code}; see {self.directory / 'daemon.log'}")

    def _configure(self) -> None:
        settings = {
            "state_dir": str(self.directory / "state"),
            "inventory": str(self.lab / "inventory.yaml"),
            "credentials": str(self.lab / "credentials.yaml"),
            "tokens": str(self.directory / "tokens.yaml"),
            "listen": {"host": "127.0.0.1", "port": self.port},
            "telemetry": {"service_probes": "auto"},
            # A recovery looks closer at its area for a while after it; the routers shall be as they were at the end.
            "recovery": {"mode": "off"},
        }
        (self.directory / "accord.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        token = self.accord(
            "token", "add", "demo", "--role", "operator", "--tokens", str(self.directory / "tokens.yaml"), show=False
        )
        secret = self.directory / "token"
        secret.touch(mode=0o600)
        secret.write_text(token.strip())

    def _wait_until_ready(self, daemon: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            if daemon.poll() is not None:
                raise DemoError(f"the daemon ended; see {self.directory / 'daemon.log'}")
            probe = [sys.executable, "-m", "controller.cli.main", "device", "list", "-o", "json"]
            done = subprocess.run(probe, capture_output=True, text=True, env=self.environment, check=False)
            if done.returncode == 0 and all(device["is_known"] for device in _rows(json.loads(done.stdout))):
                return
        raise DemoError("the daemon has not read every device in time")

    def wait_for(self, tunnel: str, route: str) -> None:
        """Until a tunnel takes this route."""
        deadline = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < deadline:
            found = self.json("tunnel", "show", tunnel)
            if found["route"] == route:
                print(f"  {tunnel}: {route}")
                return
        raise DemoError(f"tunnel {tunnel} does not take {route}: {found['route']}")

    def metrics(self, *names: str) -> None:
        """What Prometheus would scrape, as far as it is about `names`."""
        print(f"$ curl --cacert state/tls/server.crt https://127.0.0.1:{self.port}/metrics | grep ...")
        answer = requests.get(
            f"https://127.0.0.1:{self.port}/metrics", verify=self.environment["ACCORD_CA"], timeout=30
        )
        answer.raise_for_status()
        shown = [line for line in answer.text.splitlines() if line.startswith(names)]
        if not shown:
            raise DemoError(f"no metric of {', '.join(names)}")
        _print_some("\n".join(shown), 20)

    def running_of(self, router: str) -> bytes:
        """What a router holds, read by a client that knows nothing of accord."""
        host = yaml.safe_load((self.lab / "inventory.yaml").read_text())["hosts"][router]
        login = yaml.safe_load((self.lab / "credentials.yaml").read_text())["credentials"][host["data"]["credential"]]
        with manager.connect(
            host=host["hostname"],
            port=host["data"]["ports"]["netconf"],
            username=login["username"],
            password=login["password"],
            hostkey_b64=host["data"]["host_key"].split()[1],
            allow_agent=False,
            look_for_keys=False,
        ) as session:
            return bytes(session.get_config("running").data_xml.encode())


def walk(demo: Demo) -> None:
    """The story."""
    before = {router: demo.running_of(router) for router in ("pe-london", "pe-paris", "pe-frankfurt")}
    demo.say("steps a to c: the request is read, and what is left unsaid is shown as assumed")
    demo.accord("intent", "submit", REQUEST, most_lines=12)
    intent = _rows(demo.json("intent", "list"))[0]
    vpn, plan = intent["vpn_id"], intent["plan"]

    demo.say("step d: the plan, before anything is sent")
    demo.accord("diff", plan, most_lines=44)
    demo.accord("diff", plan, "--format", "xml", most_lines=12)

    demo.say("step d, distributed: one transaction; step e, the result")
    demo.accord("commit", plan, "--yes", "--comment", "the drafts' own request", most_lines=0)
    demo.accord("transaction", "show", "tx-1")
    if vpn.encode() not in demo.running_of("pe-london"):
        raise DemoError("pe-london does not hold the VPN")
    print(f"stock ncclient reads network-instance '{vpn}' back from pe-london and pe-paris")
    demo.accord("service", "show", vpn)

    demo.say("changed while it runs: two more sites, on two other kinds of router")
    demo.accord("intent", "submit", f"add Madrid and Frankfurt to vpn {vpn}", "--commit", "--yes", most_lines=12)
    demo.accord("device", "check-sync", "pe-madrid")

    with_traffic(demo, vpn)

    demo.say("somebody changes a router by hand: found, explained, repaired")
    demo.accord("lab", "drift", "pe-london")
    demo.accord("device", "check-sync", "pe-london", "--detailed-exitcode", expect=2)
    demo.accord("diff", "--repair", "pe-london", "--format", "paths")
    demo.accord("commit", "--repair", "pe-london", "--yes", "--comment", "undo what was done by hand", most_lines=5)
    demo.accord("device", "compare", "pe-london")

    demo.say("what happened: who, why, how it ended; and the last change undone")
    demo.accord("transaction", "list")
    grown = next(row["id"] for row in _rows(demo.json("transaction", "list")) if "add Madrid" in row["summary"])
    demo.accord("rollback", grown, "--yes", most_lines=12)

    demo.say("deleted without a trace")
    demo.accord("service", "delete", vpn, "--yes", most_lines=8)
    for router, bytes_before in before.items():
        if demo.running_of(router) != bytes_before:
            raise DemoError(f"{router} is not as it was found")
    print("stock ncclient: the routers are, byte for byte, as they were found")

    demo.say("the metrics to look at")
    demo.metrics("accord_transactions_total", "accord_devices{", "accord_event_log_position", "accord_drift_lines{")

    demo.say("the log that all of this is folded from, checked without the daemon's word")
    demo.accord("audit", "verify", "--log", str(demo.directory / "state" / "events.sqlite"))


def with_traffic(demo: Demo, vpn: str) -> None:
    """Packets flow while the service is steered, moved and repaired."""
    demo.say("traffic that is counted: the service gets a path of its own, and is moved while 2,000 packets/s flow")
    ends = ("--from", "pe-london", "--to", "pe-paris")
    demo.accord("tunnel", "create", "gold", *ends, "--serve", vpn, "--yes", most_lines=26)
    demo.accord("lab", "traffic", "start", "--vpn", vpn, *ends, "--rate", "2000")
    demo.accord("twin", "what-if", "--link-down", "pe-london-p-brussels", most_lines=12)
    demo.accord("tunnel", "move", "gold", "--avoid", "pe-london-p-brussels", "--yes", most_lines=0)
    demo.accord("change", "show", "change-1")
    moved = _rows(demo.json("lab", "traffic", "report"))[0]
    demo.accord("lab", "traffic", "report")
    if moved["lost"]:
        raise DemoError(f"{moved['lost']} packets were lost while the tunnel moved")

    demo.say("the fibre under it is cut: repaired by a plan, its proof and a transaction")
    demo.accord("lab", "link", "pe-london--p-lyon", "down")
    demo.wait_for("gold", "pe-london > p-brussels > pe-paris")
    demo.accord("transaction", "list", "--limit", "1")
    demo.accord("lab", "traffic", "stop", moved["flow"])
    demo.accord("lab", "link", "pe-london--p-lyon", "up", show=False)
    demo.accord("tunnel", "delete", "gold", "--yes", most_lines=2)


def main() -> int:
    """Run the demonstration in a fresh directory; returns the exit code."""
    directory = Path(tempfile.mkdtemp(prefix="accord-demo-"))
    demo = Demo(directory, sys.stdout.isatty() and "NO_COLOR" not in os.environ)
    try:
        with held_port() as port:
            (directory / "port").write_text(str(port))
            with demo.running_lab(), demo.running_daemon():
                walk(demo)
    except (DemoError, subprocess.TimeoutExpired) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    print("\nIt works. `accord lab up` and `accord serve` give you the same to play with; see README.md.")
    return 0


def _rows(document: Any) -> list[Any]:
    """The list in an answer, bare or beside its `schema_version`."""
    if isinstance(document, list):
        return document
    return next(value for value in document.values() if isinstance(value, list))


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def _print_some(text: str, most_lines: int) -> None:
    lines = text.splitlines()
    for line in lines[:most_lines]:
        print(f"  {line}")
    if len(lines) > most_lines > 0:
        print(f"  ... {len(lines) - most_lines} lines more")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
