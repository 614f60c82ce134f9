"""Owns `accord explain`: plain sentences about a service, each with the samples and events that it rests on."""

from collections.abc import Iterator

from rich.text import Text

from controller.cli.assurance import ServiceArgument
from controller.cli.session import Session, command, group
from controller.cli.terminal import Json

app = group("explain", "Plain sentences about what happened, and what they rest on.")


@command(app, "service", "explain service acme-1", "explain service acme-1 -o json")
def _service(session: Session, service: ServiceArgument) -> None:
    """Tell how a service stands, what changed, what began it and what was decided; JSON has every sample and event."""
    with session.terminal.progress("looking at samples and events"):
        found = session.client.get("assurance", service, "explanation")
    session.terminal.show(found, *_lines(found))


def _lines(found: Json) -> Iterator[Text]:
    for sentence in found["sentences"]:
        yield Text(sentence["text"])
        for clause in sentence["clauses"]:
            yield Text(f"    {clause['text']}: {_rests_on(clause)}", style="dim")


def _rests_on(clause: Json) -> str:
    series: dict[str, set[float]] = {}
    for figure in clause["figures"]:
        for name, time in (sample for samples in figure["samples"] for sample in samples):
            series.setdefault(name, set()).add(time)
    parts = [f"{len(times)} samples of {name}" for name, times in sorted(series.items())]
    parts += [f"event {position}" for position in clause["events"]]
    return ", ".join(parts)
