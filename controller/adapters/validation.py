"""Owns validating instance data behind `controller.ports.InstanceValidator`: libyang, or yangson where it has no wheel.

A validator reports on configuration (`config true`) only: state in a document is a finding. Validators are safe to use
from several threads, one call at a time each; libyang keeps the interpreter to itself while it works, so big documents
go in parts (`asyncio.to_thread` does not make them cheaper).
"""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lxml import etree

from controller.adapters.validation_xml import unwrapped
from controller.adapters.yang_schema import default_search_path
from controller.model.errors import InvalidInputError, NotFoundError
from controller.ports import Finding, InstanceValidator

L3SM_MODULES = ("ietf-l3vpn-svc",)


def l3sm_validator(search_path: Sequence[str] = ()) -> InstanceValidator:
    """Validates RFC 8299 service instances, all features on."""
    return instance_validator(L3SM_MODULES, search_path)


def instance_validator(
    modules: Sequence[str], search_path: Sequence[str] = (), *, engine: str = ""
) -> InstanceValidator:
    """A validator for `modules` (`name` or `name@revision`) with all their features.

    `engine` is `libyang` or `yangson`; empty takes libyang where it is installed. An empty `search_path` means the
    default one. `NotFoundError` for modules that are not there, `InvalidInputError` for those that do not compile.
    """
    path = tuple(search_path) or default_search_path()
    if engine != "yangson":
        try:
            return LibyangValidator(modules, path)
        except ImportError:
            if engine == "libyang":
                raise
    from controller.adapters.validation_yangson import YangsonValidator

    return YangsonValidator(modules, path)


class LibyangValidator:
    """Validates with libyang. The binding is untyped: `Any` here and nowhere else."""

    def __init__(self, modules: Sequence[str], search_path: Sequence[str]) -> None:
        import oopt_gnpy_libyang as libyang

        self._libyang = libyang
        self._lock = threading.Lock()
        libyang.set_log_options(libyang.LogOptions.Store)  # findings are returned, not written to stderr
        options = libyang.ContextOptions
        directories = ":".join(str(Path(directory)) for directory in _directories(search_path))
        flags = options.AllImplemented | options.NoYangLibrary | options.DisableSearchCwd
        self._context = libyang.Context(directories, flags)
        for module in modules:
            self._load(module)

    def validate(self, document: bytes, media: str = "json") -> Sequence[Finding]:
        """Findings in a configuration document (`json`: RFC 7951, or `xml`); empty means valid."""
        ly = self._libyang
        kind = ly.DataFormat.XML if media == "xml" else ly.DataFormat.JSON
        parse = ly.ParseOptions.Strict | ly.ParseOptions.NoState
        check = ly.ValidationOptions.NoState | ly.ValidationOptions.Present | ly.ValidationOptions.MultiError
        try:
            text = unwrapped(document) if media == "xml" else document.decode()
        except (UnicodeDecodeError, etree.XMLSyntaxError) as error:
            return [Finding(path="/", message=f"not a {media} document: {error}")]
        with self._lock:
            try:
                self._context.parse_data(text, kind, parse, check)
            except ly.Error as error:
                return list(self._findings(error))
            finally:
                self._context.clean_all_errors()
        return []

    def _findings(self, error: Exception) -> Iterable[Finding]:
        """Every stored error once; the exception's words when nothing was stored."""
        stored = [info for info in self._context.errors() if info.level == self._libyang.LogLevel.Error]
        found = [_finding(info) for info in stored] or [Finding(path="/", message=str(error))]
        return dict.fromkeys(found)

    def _load(self, module: str) -> None:
        name, _, revision = module.partition("@")
        try:
            self._context.load_module(name, revision or None, ["*"])
        except self._libyang.Error as error:
            words = "; ".join(info.message for info in self._context.errors()) or str(error)
            self._context.clean_all_errors()
            if "module failed, not found" in words:
                raise NotFoundError(
                    f"YANG module '{module}' or one it imports is not on the search path: {words}"
                ) from error
            raise InvalidInputError(f"YANG module '{module}' does not compile: {words}") from error


def _finding(info: Any) -> Finding:
    return Finding(path=info.data_path or "/", message=info.message, app_tag=info.app_tag or "")


def _directories(search_path: Sequence[str]) -> list[Path]:
    """Each root and what is below it: libyang does not look there by itself, pyang does."""
    found: dict[Path, None] = {}
    for root in (Path(directory) for directory in search_path):
        if root.is_dir():
            found[root] = None
            found.update(dict.fromkeys(sorted(path for path in root.rglob("*") if path.is_dir())))
    return list(found)
