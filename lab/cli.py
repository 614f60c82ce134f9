"""`accord lab`: emulated routers from the command line, in this process or detached from it.

Owns the commands and their output: data to stdout as a table or JSON, messages and progress to stderr. Exit code 1 is a
failure, told in one line; usage errors are the caller's to number.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lab import cli_traffic
from lab.cli_help import DRIFT, FAULT, UP
from lab.cli_output import DirOption, Output, OutputOption, ask_lab, fail, messages, print_rows
from lab.control_socket import ControlError, is_running, lab_directory
from lab.faults import FaultRequest
from lab.home import LOG, leftovers, occupied, occupied_error, tenant
from lab.planes import Plane
from lab.router.faults_point import Fault
from lab.router.profiles import PROFILES
from lab.topology import Topology, TopologyError
from lab.topology_file import load_topology
from lab.topology_values import parse_ratio

if TYPE_CHECKING:  # routers load when they start: `status` need not wait for their libraries
    from lab.network import NetworkOptions
    from lab.router.schema import ModuleSet

app = typer.Typer(
    name="lab",
    help="Emulated routers that stock NETCONF, RESTCONF and CLI clients can drive.",
    no_args_is_help=True,
    add_completion=False,
)
app.add_typer(cli_traffic.app)
_DETACHED_START_SECONDS = 600.0
_POLL_SECONDS = 0.1
_PLANES: tuple[Plane, ...] = ("memory", "netns", "auto")
_FILE_SUFFIXES = {".yaml", ".yml", ".json"}


class PhaseName(StrEnum):
    """When a fault strikes."""

    BEFORE = "before"
    AFTER = "after"
    REPLY = "reply"


@app.command(help=UP)
def up(
    *,
    topology: Annotated[str, typer.Option(help="A topology file, or a topohub name such as sndlib/germany50.")] = "",
    routers: Annotated[int | None, typer.Option(min=2, help="How many routers; default: as published.")] = None,
    profile: Annotated[str, typer.Option(help=f"What the routers can do: {', '.join(PROFILES)}.")] = "full",
    profile_for: Annotated[
        list[str] | None, typer.Option(help="Another profile for one router: r1=running. Repeatable.")
    ] = None,
    personality_for: Annotated[
        list[str] | None, typer.Option(help="Other YANG modules for one router: r1=openconfig. Repeatable.")
    ] = None,
    yang_path: Annotated[
        list[Path] | None, typer.Option(file_okay=False, exists=True, help="Where other YANG modules are. Repeatable.")
    ] = None,
    directory: DirOption = None,
    first_port: Annotated[int, typer.Option(min=0, max=65535, help="Number ports upwards from here; 0: any.")] = 0,
    plane: Annotated[str, typer.Option(help=f"What carries the traffic: {', '.join(_PLANES)}.")] = _PLANES[0],
    detach: Annotated[bool, typer.Option("--detach", help="Return when the lab is up, leave it running.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Start routers and keep them running."""
    from lab.network import NetworkError, NetworkOptions

    home = lab_directory(directory)
    with tenant(home) as running:
        if running is not None:
            fail(str(occupied_error(home, running.pid)))
    chosen = _chosen_topology(topology, routers)
    personalities = _pairs(personality_for or [], "--personality-for")
    options = NetworkOptions(
        profile=profile,
        profiles=_pairs(profile_for or [], "--profile-for"),
        modules_for=_module_sets(personalities, yang_path or []),
        first_port=first_port,
        plane=_plane(plane),
    )
    try:
        if detach:
            _start_detached(home, _up_words(topology, routers, options))
            _print_status(ask_lab(home, "status"), output)
            return
        with occupied(home):
            asyncio.run(_serve(chosen, options, home, output))
    except (ControlError, NetworkError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"the lab in {home} did not start: {error}: choose another --dir or --first-port")


@app.command()
def down(directory: DirOption = None, output: OutputOption = Output.TABLE) -> None:
    """Stop the running lab, wait until its process has exited, and remove its files.

    What a lab left that died is removed too.
    """
    home = lab_directory(directory)
    with tenant(home) as running:
        if running is None:
            _clear_away(home, output)
            return
        stopped = ask_lab(home, "down")
        _wait(
            running.has_exited, f"the lab in {home} (pid {running.pid}) does not end: `kill -9 {running.pid}` ends it"
        )
    _remove(leftovers(home))
    print_rows([stopped], output)


def _clear_away(home: Path, output: Output) -> None:
    left = leftovers(home)
    if not left:
        fail(f"no lab is running in {home}: start one with `accord lab up`, or name its directory with --dir")
    messages.print(f"the lab in {home} was dead already: its files are removed")
    _remove(left)
    print_rows([{"pid": None}], output)


def _remove(files: Iterable[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)


@app.command()
def status(directory: DirOption = None, output: OutputOption = Output.TABLE) -> None:
    """List the routers of the running lab with their ports and sessions."""
    _print_status(ask_lab(lab_directory(directory), "status"), output)


@app.command(help=FAULT)
def fault(
    router: Annotated[str, typer.Argument(help="Name of a router, or '*' for all.")],
    rpc: Annotated[str, typer.Argument(help="An RPC such as commit, restconf-patch or cli-commit, or '*' for all.")],
    action: Annotated[Fault, typer.Argument(help="What goes wrong.")],
    *,
    phase: Annotated[PhaseName | None, typer.Option(help="When: before or after acting, or at the reply.")] = None,
    nth: Annotated[int, typer.Option(min=1, help="From which occurrence on.")] = 1,
    count: Annotated[int, typer.Option(min=0, help="How many times; 0: for ever.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, help="Length of a delay.")] = 0.0,
    octets: Annotated[int, typer.Option(min=0, help="Size of a huge reply, or of the pieces of a split one.")] = 0,
    session_id: Annotated[int, typer.Option(min=0, help="Who holds the lock.")] = 0,
    tag: Annotated[str, typer.Option(help="error-tag of a rejection.")] = "operation-failed",
    message: Annotated[str, typer.Option(help="error-message of a rejection or warning.")] = "scripted fault",
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Script a fault of a router."""
    members: dict[str, Any] = {
        "router": router,
        "rpc": rpc,
        "action": action.value,
        "phase": phase.value if phase else None,
        "nth": nth,
        "count": count or None,
        "seconds": seconds,
        "octets": octets,
        "session_id": session_id,
        "tag": tag,
        "message": message,
    }
    _check_fault(members)
    print_rows([ask_lab(lab_directory(directory), "fault", **members)], output)


@app.command()
def faults(
    clear: Annotated[bool, typer.Option("--clear", help="Forget them instead of listing them.")] = False,
    router: Annotated[str | None, typer.Option(help="Clear those of this router only.")] = None,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """List the faults that may still strike, or clear them."""
    home = lab_directory(directory)
    print_rows([ask_lab(home, "clear", router=router)] if clear else ask_lab(home, "faults"), output)


@app.command(help=DRIFT)
def drift(
    router: Annotated[str, typer.Argument(help="Name of a router.")],
    *,
    interface: Annotated[str, typer.Option(help="Which interface; default: a customer's.")] = "",
    description: Annotated[str | None, typer.Option(help="Set its description.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Set its state.")] = None,
    edit: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="An edit-config document to apply instead.")
    ] = None,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Change running on a router behind the controller's back."""
    if edit is not None and (interface or description is not None or enabled is not None):
        raise typer.BadParameter("give either --edit or what to set on an interface")
    members: dict[str, Any] = {"interface": interface, "description": description, "enabled": enabled}
    if edit is not None:
        members = {"xml": _text(edit)}
    print_rows([ask_lab(lab_directory(directory), "drift", router=router, **members)], output)


@app.command()
def link(
    name: Annotated[str, typer.Argument(help="Name of a link; `accord lab status -o json` lists them.")],
    state: Annotated[str, typer.Argument(help="up or down.")],
    *,
    silent: Annotated[bool, typer.Option("--silent", help="Lose every packet and keep the carrier.")] = False,
    delay: Annotated[
        float | None, typer.Option("--delay", metavar="MS", min=0, max=60_000, help="With up: packets take so long.")
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option("--loss", metavar="RATIO", help="With up: so many packets are lost, 2% or 0.02; 0: none."),
    ] = None,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Cut or restore a link between two routers, or change its delay or its loss (on the memory plane)."""
    if state not in {"up", "down"}:
        raise typer.BadParameter(f"a link goes up or down, not {state}")
    if silent and state == "up":
        raise typer.BadParameter("a link comes back whole: --silent goes with down")
    if delay is not None and state == "down":
        raise typer.BadParameter("nothing passes a link that is down: --delay goes with up")
    if loss is not None and state == "down":
        raise typer.BadParameter("a link that is down loses everything: --loss goes with up")
    asked: dict[str, Any] = {
        "link": name,
        "state": state,
        "silent": silent,
        **({} if delay is None else {"delay_milliseconds": delay}),
        **({} if loss is None else {"loss_ratio": _ratio(loss)}),
    }
    print_rows([ask_lab(lab_directory(directory), "link", **asked)], output)


@app.command()
def reboot(
    router: Annotated[str, typer.Argument(help="Name of a router.")],
    down_seconds: Annotated[float, typer.Option(min=0, max=3600, help="How long it stays away.")] = 0.0,
    directory: DirOption = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Reboot a router: sessions drop, an unconfirmed commit is undone, it comes back on the same ports."""
    print_rows([ask_lab(lab_directory(directory), "reboot", router=router, down_seconds=down_seconds)], output)


def _ratio(text: str) -> float:
    try:
        return parse_ratio(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--loss") from error


async def _serve(topology: Topology, options: NetworkOptions, home: Path, output: Output) -> None:
    from lab.control import LabService
    from lab.network import LabNetwork

    async with LabNetwork(topology, options, progress=_progress(topology)) as network:
        service = LabService(network, home)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, service.go_down)
        await service.start()
        try:
            _print_status(await service.handle("status", {}), output)
            messages.print(f"lab is up in {home}: inventory.yaml and credentials.yaml are there, Ctrl-C stops it")
            await service.wait_down()
        finally:
            await service.stop()


def _chosen_topology(name: str, routers: int | None) -> Topology:
    from lab.topologies_topohub import topohub_topology

    try:
        if name and not _is_file(name):
            return topohub_topology(name, routers=routers)
        if routers is not None:
            raise typer.BadParameter("--routers cuts or grows a topohub topology, a file has the routers it lists")
        return load_topology(Path(name) if name else _demo_file())
    except TopologyError as error:
        fail(str(error))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the edit {path}: {error}: give a document in UTF-8")


def _is_file(name: str) -> bool:
    return Path(name).suffix in _FILE_SUFFIXES or Path(name).is_file()


def _demo_file() -> Path:
    """The demo topology: of the checkout, else of the installed package's shared data."""
    import sysconfig

    shared = Path(sysconfig.get_path("data")) / "share" / "accord"
    found = [root / "config" / "lab" / "demo.yaml" for root in (Path(__file__).resolve().parents[1], shared)]
    return next((path for path in found if path.is_file()), found[0])


def _pairs(given: Iterable[str], option: str) -> dict[str, str]:
    pairs = {}
    for item in given:
        router, _, value = item.partition("=")
        if not router or not value:
            raise typer.BadParameter(f"{item!r} is not ROUTER=NAME", param_hint=option)
        pairs[router] = value
    return pairs


def _module_sets(personalities: dict[str, str], search_path: Sequence[Path]) -> dict[str, ModuleSet]:
    from lab.personalities import personality

    try:
        return {router: personality(name, search_path) for router, name in personalities.items()}
    except ValueError as error:
        fail(str(error))


def _plane(wanted: str) -> Plane:
    for plane in _PLANES:
        if plane == wanted:
            return plane
    raise typer.BadParameter(f"there is no data plane {wanted}: it is one of {', '.join(_PLANES)}")


def _up_words(topology: str, routers: int | None, options: NetworkOptions) -> list[str]:
    """The command line that starts the same lab in another process."""
    words = ["up", "--profile", str(options.profile), "--first-port", str(options.first_port), "--plane", options.plane]
    words += ["--topology", topology] if topology else []
    words += ["--routers", str(routers)] if routers is not None else []
    for router, profile in options.profiles.items():
        words += ["--profile-for", f"{router}={profile}"]
    for router, modules in options.modules_for.items():
        words += ["--personality-for", f"{router}={modules.name}"]
    for folder in dict.fromkeys(folder for modules in options.modules_for.values() for folder in modules.search_path):
        words += ["--yang-path", str(folder)]
    return words


def _start_detached(home: Path, words: Sequence[str]) -> None:
    """Start the lab in a process and session of its own, and wait until it answers."""
    command = [sys.executable, "-m", "lab.cli", *words, "--dir", str(home)]
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = home / LOG
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter with the words we were given
            command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True
        )
    deadline = time.monotonic() + _DETACHED_START_SECONDS
    while not is_running(home):
        if process.poll() is not None:
            fail(_last_words(log))
        if time.monotonic() > deadline:
            process.terminate()
            fail(f"the lab in {home} did not answer within {_DETACHED_START_SECONDS:g} s: see {log}")
        time.sleep(_POLL_SECONDS)


def _last_words(log: Path) -> str:
    """Why a lab did not start: its own error, without the log that nobody else needs then."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if not said:
        return f"the lab did not start: {lines[-1] if lines else 'it said nothing'}: see {log}"
    log.unlink(missing_ok=True)
    return said[-1]


def _wait(condition: Callable[[], bool], failure: str, *, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            fail(failure)
        time.sleep(_POLL_SECONDS)


def _progress(topology: Topology) -> Callable[[int, int], None]:
    """Tell now and then how many routers have started; a terminal sees one line that changes."""
    end = "\r" if messages.is_terminal else "\n"

    def tell(started: int, total: int) -> None:
        if started == total or started % 50 == 0:
            last = "\n" if started == total else end
            messages.print(f"{topology.name}: {started} of {total} routers started", end=last)

    return tell


def _check_fault(members: dict[str, Any]) -> None:
    from pydantic import ValidationError

    try:
        FaultRequest.model_validate(members)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(item["msg"] for item in error.errors())) from error


def _print_status(found: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print(json.dumps({"schema_version": 1, **found}, indent=2))
        return
    print_rows(found["routers"], output)


if __name__ == "__main__":
    app()
