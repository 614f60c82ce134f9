"""Owns where the files that travel with the program are: `yang/`, `config/`, `systemd/`, and pyang's standard modules.

In a checkout they stand beside the packages; from a wheel they are under `share/accord` of the installation scheme
(PEP 491 `data`). Nothing here reads them.
"""

import sysconfig
from pathlib import Path

import controller
from controller.model.errors import NotFoundError


def shared_directory(name: str) -> Path:
    """The directory `name` (`yang`, `config`, `systemd`) of the checkout, or of the installed wheel."""
    checkout = Path(controller.__file__).resolve().parent.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / name).is_dir():
        return checkout / name
    candidates = [root / "share" / "accord" / name for root in _data_roots()]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    tried = ", ".join(str(candidate) for candidate in candidates)
    raise NotFoundError(f"no directory '{name}' of accord's own", remedy=f"reinstall accord; looked in {tried}")


def standard_yang_directories() -> tuple[Path, ...]:
    """Where pyang's wheel put the published IETF and IANA modules; empty when they are nowhere."""
    for root in _data_roots():
        base = root / "share" / "yang" / "modules"
        found = tuple(base / part for part in ("ietf", "iana") if (base / part).is_dir())
        if found:
            return found
    return ()


def _data_roots() -> list[Path]:
    """Installation roots: this interpreter's scheme, then the user's, without repetition."""
    user_scheme = sysconfig.get_preferred_scheme("user")
    roots = [sysconfig.get_path("data"), sysconfig.get_path("data", user_scheme)]
    return [Path(root) for root in dict.fromkeys(roots)]
