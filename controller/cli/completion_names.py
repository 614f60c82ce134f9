"""Owns completing names that only the daemon knows, within 300 ms: a shell must never hang on a Tab."""

import threading

_BUDGET_SECONDS = 0.3


def complete_device(incomplete: str) -> list[str]:
    """Devices that begin so; none when the daemon is away, slow or unwilling."""
    return _names("devices", "name", incomplete)


def complete_service(incomplete: str) -> list[str]:
    """VPNs that begin so."""
    return _names("services", "vpn_id", incomplete)


def complete_transaction(incomplete: str) -> list[str]:
    """Transactions that begin so."""
    return _names("transactions", "id", incomplete)


def complete_tunnel(incomplete: str) -> list[str]:
    """Tunnels that begin so."""
    return _names("tunnels", "name", incomplete)


def complete_intent(incomplete: str) -> list[str]:
    """Intents that begin so."""
    return _names("intents", "id", incomplete)


def _names(collection: str, member: str, incomplete: str) -> list[str]:
    # Before the clock starts: the budget is for the daemon, and loading a library cannot be broken off.
    import controller.cli.client  # noqa: F401
    from controller.cli.connection import Preferences
    from controller.cli.session import open_session
    from controller.model.errors import AccordError

    found: list[str] = []

    def ask() -> None:
        try:
            items = open_session(Preferences()).client.get(collection)
            found.extend(str(item[member]) for item in items)
        except (AccordError, KeyError, TypeError):
            return  # a completion has nowhere to say what is wrong; the command itself will

    worker = threading.Thread(target=ask, daemon=True)
    worker.start()
    worker.join(_BUDGET_SECONDS)
    return sorted(name for name in found if name.startswith(incomplete))
