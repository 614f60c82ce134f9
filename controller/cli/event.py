"""Owns `accord events`: the log as it grows (server-sent events, WHATWG HTML 9.2)."""

import time
from collections.abc import Iterable, Iterator
from typing import Annotated

import orjson
import typer
from rich.text import Text

from controller.cli.exits import UnreachableError
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json, Output, cell, encode, table, timestamp, versioned
from controller.model.errors import OutcomeUnknownError

app = group("events", "The event log as it grows.")
_MOST_WAIT_SECONDS = 10.0
_COLUMNS = ("position", "time", "actor", "type", "stream")


@command(app, "tail", "events tail --after 0", "events tail --follow", "events tail --follow -o json | jq .type")
def _tail(
    session: Session,
    after: Annotated[
        int | None, typer.Option(min=0, help="Begin behind this position; default: the last 20 events.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what happens from now on.")] = False,
) -> None:
    """Show events of the log. With --follow each is one line (-o json: one object a line), until interrupted."""
    end = int(session.client.get("status")["position"])
    start = max(0, end - 20) if after is None else after
    if not follow:
        events = list(_until(_read(session, start), end)) if start < end else []
        session.terminal.show(events, table([_row(event) for event in events], _COLUMNS))
        return
    _follow(session, start)


def _follow(session: Session, position: int) -> None:
    """Print for ever, taking up where it was after every break."""
    wait = 1.0
    while True:
        try:
            for event in _read(session, position):
                if event:
                    position = int(event["position"])
                    _print_line(session, event)
                wait = 1.0
        except (UnreachableError, OutcomeUnknownError):
            session.terminal.warn(f"the daemon went away; trying again in {wait:.0f} s")
        time.sleep(wait)
        wait = min(2 * wait, _MOST_WAIT_SECONDS)


def _until(events: Iterable[Json], end: int) -> Iterator[Json]:
    """Events up to a position; a heartbeat says that there are no more for this reader."""
    for event in events:
        if not event:
            return
        yield event
        if int(event["position"]) >= end:
            return


def _read(session: Session, after: int) -> Iterator[Json]:
    """Events behind a position as they come; None for each heartbeat."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
    with session.client.stream("events", headers=headers, after=str(after)) as response:
        data: list[bytes] = []
        for line in _lines(response.iter_content(chunk_size=None)):
            if line.startswith(b"data:"):
                data.append(line.removeprefix(b"data:").removeprefix(b" "))
            elif line.startswith(b":"):
                yield None
            elif not line and data:
                yield orjson.loads(b"\n".join(data))
                data = []


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines as soon as they are whole; a chunk may hold many of them, or a piece of one."""
    rest: list[bytes] = []
    for chunk in chunks:
        *whole, last = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line))
            rest = []
        rest.append(last)


def _row(event: Json) -> Json:
    return {**event, "time": _time(event)}


def _time(event: Json) -> str:
    moment = event.get("time", event.get("at", ""))
    return timestamp(moment) if isinstance(moment, (int, float)) else str(moment)


def _print_line(session: Session, event: Json) -> None:
    output = session.terminal.output
    if output is Output.TABLE:
        words = (str(event["position"]), _time(event), *(cell(event.get(name)) for name in _COLUMNS[2:]))
        session.terminal.print_data(Text("  ".join(words)))
    elif output is Output.JSON:
        session.terminal.write(orjson.dumps(versioned(event)).decode() + "\n")
    else:
        session.terminal.write(f"---\n{encode(versioned(event), output)}")
