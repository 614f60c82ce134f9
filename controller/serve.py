"""Owns the daemon as a process: start, readiness, reload, orderly end, and the exit code (sd_notify(3), sysexits(3)).

Ready is said when the world is restored and the port is open. SIGTERM and SIGINT close the door, let transactions reach
their verdict (a second one stops waiting), store a snapshot and end with 0. SIGHUP reads settings and files again and
keeps the last good ones when anything is wrong with the new.
"""

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from controller.adapters.logging import configure_logging
from controller.adapters.sd_notify import SystemdNotifier
from controller.adapters.settings_loader import LoadedSettings, load_settings, needs_restart
from controller.adapters.tls import ServerCertificate, server_certificate
from controller.adapters.yang_schema import default_search_path, load_schema
from controller.background import Background, first_of
from controller.bootstrap import Daemon, open_daemon
from controller.datastore.schema import Schema
from controller.model.errors import AccordError, InvalidInputError, NotFoundError, PermanentError
from controller.northbound.app import Doors
from controller.northbound.auth import TokenStore, load_tokens
from controller.northbound.metrics_state import Reload
from controller.northbound.peers import peer_app, peer_tls
from controller.northbound.serve import HttpServer, bind
from controller.settings import Settings
from controller.transaction.states import Act

_log = structlog.get_logger(__name__)
EXIT_FAILURE = 1
EXIT_CONFIG = 78
_EXTENSION_SECONDS = 30.0
_EXTEND_EVERY_SECONDS = 10.0
_AFTER_CONFIRM_SECONDS = 30.0
_LAST_ANSWERS_SECONDS = 5.0
_COLLECTIONS = (20_000, 20, 50)
"""New objects between collections of the youngest, and how many of those before the older are looked at too."""


def spare_collector() -> None:
    """What there is when the daemon has started stays; what a transaction makes lives about as long as it does.

    So the collector leaves the one alone and looks at the other less often than it would by default.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECTIONS)


def serve(loaded: LoadedSettings) -> int:
    """Run the daemon until it is told to stop; the exit code. A start that fails is told in one line on stderr."""
    configure_logging(loaded.settings.log.level, loaded.settings.log.format)
    # What a start makes stays: looking through it for garbage again and again would take a good part of the time.
    gc.disable()
    try:
        asyncio.run(_Service(loaded).run())
    except (InvalidInputError, NotFoundError) as error:
        return refuse(error, EXIT_CONFIG)
    except (AccordError, OSError) as error:
        return refuse(error, EXIT_FAILURE)
    finally:
        gc.enable()
    return 0


def l3sm_schema(settings: Settings) -> Schema:
    """The schema of what RESTCONF serves."""
    path = (*map(str, settings.yang_path), *default_search_path())
    return load_schema(("ietf-l3vpn-svc",), path, cache=settings.state_dir / "cache")


def refuse(error: Exception, code: int) -> int:
    """One line on stderr; returns the code."""
    sys.stderr.write(f"accord: {'; '.join(str(error).splitlines())}\n")
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """`accord serve` without the rest of the command line."""
    parser = argparse.ArgumentParser(prog="accord serve")
    parser.add_argument("--config", type=Path, default=None)
    try:
        loaded = load_settings(parser.parse_args(arguments).config)
    except AccordError as error:
        return refuse(error, EXIT_CONFIG)
    return serve(loaded)


@dataclass(slots=True)
class _Service:
    """One run of the daemon. Signals may come at any time, also before there is anything to stop."""

    loaded: LoadedSettings
    notifier: SystemdNotifier = field(default_factory=SystemdNotifier)
    tokens: TokenStore = field(default_factory=lambda: TokenStore(()))
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hurrying: asyncio.Event = field(default_factory=asyncio.Event)
    reloading: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """From nothing to stopped."""
        self._catch_signals()
        settings = self.loaded.settings
        with contextlib.closing(bind(settings.listen.host, settings.listen.port)) as listener:
            settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            certificate = server_certificate(settings.listen, settings.state_dir, time.time())
            tls = certificate.context()
            self.tokens = load_tokens(settings.tokens)
            daemon = await open_daemon(self.loaded)
            background = Background(daemon, self.notifier)
            doors = self._doors(daemon, background)
            server = HttpServer(doors.app, listener, tls)
            peers = self._peer_server(daemon)
            try:
                await server.start()
                if peers is not None:
                    await peers.start()
                self._tell_listening(daemon, server, certificate)
                background.start()
                spare_collector()
                gc.enable()
                await self._live(daemon, background, server)
            finally:
                if peers is not None:
                    await peers.stop(_LAST_ANSWERS_SECONDS)
                await self._shut_down(daemon, background, doors, server)

    def _doors(self, daemon: Daemon, background: Background) -> Doors:
        held = daemon.settings
        doors = Doors(
            controller=daemon.controller,
            tokens=lambda: self.tokens,
            settings=lambda: held.current,
            schema=l3sm_schema(held.current),
            upkeep=background.upkeep,
            reload=lambda: Reload(held.last_reload_successful, held.last_reload_success_time),
            negotiations=daemon.plane.negotiations if daemon.plane else None,
        )

        def observe_act(act: Act, seconds: float, outcome: str) -> None:
            doors.flows.observe_act(act, seconds, outcome)
            background.pulse.note_act(act, seconds, outcome)

        daemon.controller.transactions.observe_act = observe_act
        daemon.repair.observe = doors.flows.observe_repair
        return doors

    def _peer_server(self, daemon: Daemon) -> HttpServer | None:
        """The port where other parties are heard, if there is to be one."""
        wanted, plane = daemon.settings.current.negotiation, daemon.plane
        files = (wanted.peer_certificate, wanted.peer_key, wanted.peer_ca)
        if plane is None or wanted.peer_port is None or files[0] is None or files[1] is None or files[2] is None:
            return None
        tls = peer_tls(files[0], files[1], files[2])
        listener = bind(wanted.peer_host, wanted.peer_port)
        _log.info("listening_for_parties", port=listener.getsockname()[1])
        return HttpServer(peer_app(lambda: plane.negotiations), listener, tls)

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self.reloading.set)

    def _asked_to_stop(self) -> None:
        if self.stopping.is_set():
            self.hurrying.set()
        self.stopping.set()

    def _tell_listening(self, daemon: Daemon, server: HttpServer, certificate: ServerCertificate) -> None:
        _log.info(
            "listening",
            url=f"https://{self.loaded.settings.listen.host}:{server.port}",
            fingerprint=certificate.fingerprint,
            self_signed=certificate.is_self_signed,
            folded=daemon.folded,
        )

    # -- living ------------------------------------------------------------------------------------------------

    async def _live(self, daemon: Daemon, background: Background, server: HttpServer) -> None:
        self.notifier.ready(background.status())
        while not self.stopping.is_set():
            await first_of(self.stopping.wait(), self.reloading.wait(), server.ended())
            if not server.is_serving:
                raise PermanentError("the HTTPS server stopped by itself", remedy="see the log")
            if self.reloading.is_set():
                self.reloading.clear()
                self._reload(daemon, background)

    def _reload(self, daemon: Daemon, background: Background) -> None:
        self.notifier.reloading()
        try:
            fresh = load_settings(daemon.settings.loaded.file).settings
            tokens = load_tokens(fresh.tokens)
            changed = daemon.reload()
        except AccordError as error:
            daemon.settings.last_reload_successful = False
            _log.error("reload_refused", error=str(error), kept="the last good configuration")
        else:
            self.tokens = tokens
            configure_logging(fresh.log.level, daemon.settings.current.log.format)
            _log.info("reloaded", changed=list(changed), needs_restart=list(needs_restart(changed)))
            background.reschedule()
        self.notifier.ready(background.status())

    # -- ending ------------------------------------------------------------------------------------------------

    async def _shut_down(self, daemon: Daemon, background: Background, doors: Doors, server: HttpServer) -> None:
        """Requests that wait for a verdict get it: the server goes on until the transactions have drained."""
        patience = daemon.settings.current.transactions.confirm_timeout_seconds + _AFTER_CONFIRM_SECONDS
        self.notifier.stopping("waiting for transactions to reach their verdict")
        _log.info("stopping", running=daemon.controller.transactions.running())
        background.stop()
        doors.feed.close()
        extending = asyncio.create_task(self._keep_extending(background))
        closing = asyncio.create_task(server.stop(patience + _LAST_ANSWERS_SECONDS))
        draining = asyncio.create_task(daemon.controller.transactions.drain(patience))
        try:
            await first_of(asyncio.shield(draining), self.hurrying.wait())
            await asyncio.wait({closing}, timeout=_LAST_ANSWERS_SECONDS)
            draining.cancel()
            is_drained = await daemon.stop(0.0)
            _log.info("stopped", drained=is_drained, left_for_the_next_start=not is_drained)
        finally:
            closing.cancel()
            extending.cancel()

    async def _keep_extending(self, background: Background) -> None:
        """Systemd kills whoever takes longer than it expects; this says that work goes on, while it does."""
        while True:
            self.notifier.extend_timeout(_EXTENSION_SECONDS)
            await background.beat()
            await asyncio.sleep(_EXTEND_EVERY_SECONDS)
