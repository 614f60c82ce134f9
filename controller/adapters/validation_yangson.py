"""Owns validating with yangson: pure Python, for machines without a libyang wheel, and the second opinion in tests.

It stops at the first violation, so there is at most one finding a call.
"""

import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from yangson import DataModel
from yangson.enumerations import ContentType, ValidationScope
from yangson.exceptions import RawDataError, YangsonException

from controller.adapters.validation_xml import unwrapped
from controller.adapters.yang_schema import compile_modules
from controller.model.errors import InvalidInputError
from controller.ports import Finding


class YangsonValidator:
    """Validates with yangson. The library is untyped: `Any` here and nowhere else."""

    def __init__(self, modules: Sequence[str], search_path: Sequence[str]) -> None:
        context = compile_modules(modules, search_path, {})
        directories = [
            str(path) for root in search_path for path in (Path(root), *Path(root).rglob("*")) if path.is_dir()
        ]
        self._lock = threading.Lock()
        try:
            self._model = DataModel(_yang_library(context), directories)
        except YangsonException as error:
            raise InvalidInputError(f"YANG modules do not compile: {error}") from error

    def validate(self, document: bytes, media: str = "json") -> Sequence[Finding]:
        """The first finding in a configuration document (`json`: RFC 7951, or `xml`); empty means valid."""
        with self._lock:
            try:
                self._parse(document, media).validate(ValidationScope.all, ContentType.config)
            except (ValueError, SyntaxError) as error:
                return [Finding(path="/", message=f"not a {media} document: {error}")]
            except YangsonException as error:
                return [_finding(error)]
        return []

    def _parse(self, document: bytes, media: str) -> Any:
        if media == "xml":
            text = f"<data>{unwrapped(document)}</data>"
            return self._model.from_xml(ET.fromstring(text))  # noqa: S314 - lxml wrote it just now, without entities
        return self._model.from_raw(json.loads(document))


def _finding(error: YangsonException) -> Finding:
    """The words of the library, which start with where it stood in braces; that part becomes the path."""
    path, message = "/", str(error)
    if message.startswith("{") and "} " in message:
        path, message = message[1:].split("} ", 1)
    elif isinstance(error, RawDataError):
        path, message = str(error.path), "no such node"
    return Finding(path=path or "/", message=f"{type(error).__name__}: {message}", app_tag=getattr(error, "tag", ""))


def _yang_library(context: Any) -> str:
    """The module-state document (RFC 7895) that names every module of a pyang context, all implemented."""
    modules = [
        {
            "name": statement.arg,
            "revision": _revision(statement),
            "namespace": statement.search_one("namespace").arg,
            "feature": sorted(statement.i_features),
            "conformance-type": "implement",
            "submodule": [
                {"name": included.arg, "revision": _revision(included)}
                for included in context.modules.values()
                if included.keyword == "submodule" and included.search_one("belongs-to").arg == statement.arg
            ],
        }
        for statement in context.modules.values()
        if statement.keyword == "module"
    ]
    return json.dumps({"ietf-yang-library:modules-state": {"module-set-id": "accord", "module": modules}})


def _revision(statement: Any) -> str:
    return max((revision.arg for revision in statement.search("revision")), default="")
