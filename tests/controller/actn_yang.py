"""Validates ACTN payloads, state included, against the published modules where they are on this machine."""

import json
import os
from functools import cache
from pathlib import Path

import pytest

from controller.adapters.yang_schema import default_search_path

libyang = pytest.importorskip("oopt_gnpy_libyang", reason="libyang has no wheel for this machine")


def modules_directory() -> Path:
    """ACCORD_YANG_PATH, else shared/yang beside the checkout; the test is skipped where neither is there."""
    here = Path(__file__).resolve()
    named = os.environ.get("ACCORD_YANG_PATH")
    for candidate in [Path(named)] if named else [parent / "shared" / "yang" for parent in here.parents]:
        if (candidate / "ietf").is_dir():
            return candidate
    pytest.skip("no package ships ietf-te, ietf-te-topology and ietf-vn: set ACCORD_YANG_PATH to where they are")


@cache
def _context(folders: tuple[str, ...], modules: tuple[str, ...]):
    libyang.set_log_options(libyang.LogOptions.Store)
    standard = [str(p) for root in default_search_path() for p in (Path(root), *Path(root).rglob("*")) if p.is_dir()]
    options = libyang.ContextOptions
    flags = options.AllImplemented | options.NoYangLibrary | options.DisableSearchCwd
    context = libyang.Context(":".join([*folders, *standard]), flags)
    for module in modules:
        context.load_module(module, None, ["*"])
    return context


def _findings(folders, modules, document):
    root = modules_directory()
    context = _context(tuple(str(root / folder) for folder in folders), modules)
    try:
        context.parse_data(
            json.dumps(document),
            libyang.DataFormat.JSON,
            parse_options=libyang.ParseOptions.Strict,
            validation_options=libyang.ValidationOptions.Present | libyang.ValidationOptions.MultiError,
        )
    except libyang.Error as error:
        return [f"{item.data_path}: {item.message}" for item in context.errors()] or [str(error)]
    finally:
        context.clean_all_errors()
    return []


def topology_findings(document):
    """What is wrong with networks and virtual networks; empty when they are valid."""
    return _findings(("ietf",), ("ietf-network", "ietf-network-topology", "ietf-te-topology", "ietf-vn"), document)


def te_findings(document):
    """What is wrong with TE tunnels; empty when they are valid."""
    return _findings(("ietf-drafts", "ietf"), ("ietf-te",), document)
