"""Owns checking trees with libyang, and saying what it found as RFC 6241 errors (RFC 7950 sections 8.3 and 15)."""

import re
from collections.abc import Callable

import oopt_gnpy_libyang as libyang
from lxml import etree

from lab.router.rpc_errors import RpcError
from lab.router.schema import Schema
from lab.router.xml import NC, OPERATION, YANG, parse, qualified, serialise

_PARSE = libyang.ParseOptions
_CHECK = libyang.ValidationOptions
_PRINT = libyang.PrintFlags

_DEFAULTS = {
    "report-all": _PRINT.WithDefaultsAll,
    "report-all-tagged": _PRINT.WithDefaultsAllTag,
    "trim": _PRINT.WithDefaultsTrim,
    "explicit": _PRINT.WithDefaultsExplicit,
}

# What libyang says -> (error-tag, error-app-tag, name of the error-info element that carries the quoted word)
_MESSAGES: tuple[tuple[re.Pattern[str], tuple[str, str | None, str | None]], ...] = tuple(
    (re.compile(pattern), meaning)
    for pattern, meaning in (
        (r'No module with namespace "([^"]*)"', ("unknown-namespace", None, "bad-namespace")),
        (r'Node "([^"]*)" not found', ("unknown-element", None, "bad-element")),
        (r'Unexpected data state node "([^"]*)"', ("bad-element", None, "bad-element")),
        (r'missing its key "([^"]*)"', ("missing-element", None, "bad-element")),
        (r"no target instance|instance-required", ("data-missing", "instance-required", None)),
        (r'Mandatory choice "([^"]*)"', ("data-missing", "missing-choice", "missing-choice")),
        (r'Mandatory node "([^"]*)"', ("data-missing", None, "bad-element")),
        (r"(?i)unique data", ("operation-failed", "data-not-unique", None)),
        (r"Too many", ("operation-failed", "too-many-elements", None)),
        (r"Too few", ("operation-failed", "too-few-elements", None)),
        (r"[Mm]ust condition", ("operation-failed", "must-violation", None)),
        (r'When condition "([^"]*)"', ("unknown-element", None, None)),
        (r"Duplicate instance|both exist|more than one case|Data for both cases", ("bad-element", None, None)),
        (r"(?i)invalid|unsatisfied|out of", ("invalid-value", None, None)),
    )
)


def check_payload(schema: Schema, config: etree._Element) -> None:
    """Check names, types and list keys of an edit's content (RFC 7950 section 8.3.1). Raises RpcError."""
    text = b"".join(serialise(child) for child in config)
    if NC.encode() in text or YANG.encode() in text:
        text = b"".join(serialise(child) for child in _without_edits(config))
    _run(schema, text, _PARSE.Strict | _PARSE.NoState | _PARSE.ParseOnly, None)


def check_tree(schema: Schema, tree: etree._Element) -> None:
    """Check a whole configuration: mandatory, must, when, leafref, unique (RFC 7950 section 8.3.3). Raises RpcError."""
    _run(schema, _content(tree), _PARSE.Strict | _PARSE.NoState, _CHECK.NoState)


def with_defaults(schema: Schema, tree: etree._Element, mode: str) -> etree._Element:
    """Return a configuration as the with-defaults mode shows it (RFC 6243 section 3)."""
    node = _run(schema, _content(tree), _PARSE.Strict | _PARSE.NoState, _CHECK.NoState)
    shown = node.print(libyang.DataFormat.XML, _DEFAULTS[mode] | _PRINT.Shrink | _PRINT.Siblings) if node else ""
    return parse(f'<data xmlns="{NC}">{shown or ""}</data>'.encode())


def _content(tree: etree._Element) -> bytes:
    return b"".join(serialise(child) for child in tree)


def _without_edits(config: etree._Element) -> etree._Element:
    """Take out what is deleted, for it needs no value, and the attributes that say how to edit."""
    copy = parse(serialise(config))
    for item in list(copy.iter(etree.Element)):
        operation = item.get(OPERATION)
        item.attrib.clear()
        parent = item.getparent()
        if operation in {"delete", "remove"} and parent is not None:
            parent.remove(item)
    return copy


def _run(
    schema: Schema, text: bytes, parse_options: libyang.ParseOptions, validation: libyang.ValidationOptions | None
) -> libyang.DataNode | None:
    context = schema.context
    call: Callable[..., libyang.DataNode | None] = context.parse_data
    options = {"parse_options": parse_options}
    if validation is not None:
        options["validation_options"] = validation
    try:
        return call(text.decode(), libyang.DataFormat.XML, **options)
    except libyang.Error as error:
        found = [item for item in context.errors() if item.level == libyang.LogLevel.Error]
        context.clean_all_errors()
        errors = [_error(item.message, item.data_path, item.app_tag) for item in found]
        first, *others = errors or [RpcError("operation-failed", str(error))]
        first.others = tuple(others)
        raise first from error


def _error(message: str, data_path: str | None, app_tag: str | None) -> RpcError:
    tag, usual_app_tag, info_name = _meaning(message, app_tag)
    quoted = re.search(r'"([^"]*)"', message)
    info = ((info_name, quoted[1]),) if info_name and quoted else ()
    path = qualified(data_path) if data_path else None
    return RpcError(tag, message, path=path, app_tag=app_tag or usual_app_tag, info=info)


def _meaning(message: str, app_tag: str | None) -> tuple[str, str | None, str | None]:
    for pattern, meaning in _MESSAGES:
        if pattern.search(message):
            return meaning
    if app_tag == "must-violation":
        return ("operation-failed", "must-violation", None)
    return ("invalid-value", None, None) if app_tag is None else ("operation-failed", app_tag, None)
