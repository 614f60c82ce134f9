"""Ports that stay with the test that asks for them."""

from contextlib import ExitStack

from lab.ports import held_port

_HELD = ExitStack()


def kept_port() -> int:
    """A port of 127.0.0.1 that is nobody else's until this process ends.

    Nobody listens on it until a server is told to, which may stop and start on it as often as it likes.
    """
    return _HELD.enter_context(held_port())


def first_of_neighbours(count: int) -> int:
    """The first of so many neighbouring ports, all of them kept."""
    while True:
        with ExitStack() as held:
            first = held.enter_context(held_port())
            try:
                for port in range(first + 1, first + count):
                    held.enter_context(held_port(port=port))
            except (OSError, OverflowError):
                continue
            _HELD.enter_context(held.pop_all())
            return first
