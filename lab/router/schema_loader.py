"""Owns reading YANG modules: pyang's statements become schema nodes, libyang's context validates (RFC 7950)."""

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import oopt_gnpy_libyang as libyang
from pyang import statements
from pyang.context import Context
from pyang.repository import FileRepository

from lab.router.schema import SERVER_MODULES, ModuleInfo, ModuleSet, Schema, SchemaNode, TypeInfo

_DATA_KINDS = {"container", "list", "leaf", "leaf-list", "anydata", "anyxml"}


def yang_path(module_set: ModuleSet | None = None) -> tuple[Path, ...]:
    """Return the folders searched for modules, first the set's, then ours, then those that pyang installed."""
    prefix = Path(sysconfig.get_path("data"))
    checkout = Path(__file__).resolve().parents[2] / "yang"
    candidates = [
        *(module_set.search_path if module_set else ()),
        # Not both: what an editable installation copied there may be older than the checkout.
        checkout if checkout.is_dir() else prefix / "share" / "accord" / "yang",
    ]
    candidates += [
        Path(root) / "share" / "yang" / "modules" / body for root in (prefix, sys.prefix) for body in ("ietf", "iana")
    ]
    return tuple(dict.fromkeys(path for path in candidates if path.is_dir()))


def has_module(name: str) -> bool:
    """Say whether a module is on the default search path."""
    return any(True for path in yang_path() for _ in path.glob(f"{name}*.yang"))


def load(module_set: ModuleSet) -> Schema:
    """Read a module set. Raises LookupError for a missing module, ValueError for one that does not compile."""
    pyang = _read_modules(module_set)
    wanted = {*module_set.modules, *SERVER_MODULES}
    root = SchemaNode("", "", "", "", "container")
    ordered = [*(pyang.get_module(name) for name in (*module_set.modules, *SERVER_MODULES))]
    others = [m for m in pyang.modules.values() if m.keyword == "module" and m.arg not in wanted]
    unique = {m.arg: m for m in (*ordered, *others)}
    for module in unique.values():
        _add_children(root, module, ())
    modules = {name: _module_info(module) for name, module in unique.items()}
    _mark_prefixed(root, frozenset(modules[name].namespace for name, m in unique.items() if m.i_identities), ())
    return Schema(
        module_set=module_set,
        root=root,
        modules=modules,
        context=_context(module_set, _imports_first(ordered, pyang)),
        namespaces={info.name: info.namespace for info in modules.values()},
        module_names={info.namespace: info.name for info in modules.values()},
        identities=_identities(unique),
    )


def _mark_prefixed(node: SchemaNode, with_identities: frozenset[str], above: tuple[str, ...]) -> None:
    """Find values whose prefix could repeat a namespace of their ancestors."""
    for child in node.children.values():
        _mark_prefixed(child, with_identities, (*above, node.namespace))
    bases = _bases(node.type) if node.type is not None else set()
    identities_above = with_identities.intersection(above) - {node.namespace}
    node.prefixed = (
        "instance-identifier" in bases
        or ("identityref" in bases and bool(identities_above))
        or any(child.prefixed for child in node.children.values())
    )


def _bases(info: TypeInfo) -> set[str]:
    return {info.base}.union(*(_bases(member) for member in info.members))


def _read_modules(module_set: ModuleSet) -> Context:
    path = ":".join(str(folder) for folder in yang_path(module_set))
    pyang = Context(FileRepository(path, use_env=False, no_path_recurse=True))
    for name in (*module_set.modules, *SERVER_MODULES):
        if pyang.search_module(None, name) is None:
            raise LookupError(f"YANG module {name} is not on the search path {path}")
    pyang.validate()
    return pyang


def _imports_first(wanted: Iterable[Any], pyang: Context) -> tuple[str, ...]:
    """Name the wanted modules after all they import, at whatever depth.

    libyang ends the process when a module derives identities from one that it has not been asked for before, which is
    what loading iana-if-type before ietf-interfaces amounts to.
    """
    names: dict[str, None] = {}

    def visit(module: Any) -> None:
        if module.arg not in names:
            for imported in _imported(module, pyang):
                visit(imported)
            names[module.arg] = None

    for module in wanted:
        visit(module)
    return tuple(names)


def _imported(module: Any, pyang: Context) -> Iterator[Any]:
    """Yield what a module and its submodules import; submodules include one another through their module (RFC 7950)."""
    parts = (module, *(pyang.get_module(part.arg) for part in module.search("include")))
    for part in parts:
        for statement in () if part is None else part.search("import"):
            found = pyang.get_module(statement.arg)
            if found is not None:
                yield found


def _context(module_set: ModuleSet, names: tuple[str, ...]) -> libyang.Context:
    libyang.set_log_options(libyang.LogOptions.Store)  # errors are ours to report, not stderr's
    options = libyang.ContextOptions
    path = ":".join(str(folder) for folder in yang_path(module_set))
    context = libyang.Context(path, options.AllImplemented | options.NoYangLibrary | options.DisableSearchCwd)
    for name in names:
        try:
            context.load_module(name, None, ["*"])
        except libyang.Error as error:
            reasons = "; ".join(item.message for item in context.errors())
            raise ValueError(f"YANG module {name} does not compile: {reasons or error}") from error
    return context


def _module_info(module: Any) -> ModuleInfo:
    revisions = [statement.arg for statement in module.search("revision")]
    return ModuleInfo(
        name=module.arg,
        revision=max(revisions, default=""),
        namespace=module.search_one("namespace").arg,
        prefix=module.search_one("prefix").arg,
        features=tuple(sorted(module.i_features)),
        text=Path(module.pos.ref).read_text(encoding="utf-8"),
        implemented=bool(module.i_children or module.i_identities or module.search("augment")),
    )


def _identities(modules: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, module in modules.items():
        for identity in module.i_identities:
            found[identity] = (*found.get(identity, ()), name)
    return found


def _add_children(parent: SchemaNode, statement: Any, choices: tuple[tuple[str, str], ...]) -> None:
    for child, path in _data_children(statement, choices):
        node = _node(child, parent, path)
        parent.children[node.tag] = node
    if parent.kind == "list":
        names = statement.search_one("key")
        parent.keys = tuple(f"{{{parent.namespace}}}{_bare(name)}" for name in names.arg.split()) if names else ()
        for position, tag in enumerate(parent.keys):
            parent.children[tag].order = position - len(parent.keys)


def _data_children(
    statement: Any, choices: tuple[tuple[str, str], ...]
) -> Iterator[tuple[Any, tuple[tuple[str, str], ...]]]:
    for child in getattr(statement, "i_children", ()):
        if child.keyword in _DATA_KINDS:
            yield child, choices
        elif child.keyword == "choice":
            for case in child.i_children:
                here = (*choices, (f"{child.i_module.i_modulename}:{child.arg}", case.arg))
                yield from _data_children(case, here) if case.keyword == "case" else ((case, here),)


def _node(statement: Any, parent: SchemaNode, choices: tuple[tuple[str, str], ...]) -> SchemaNode:
    module = statement.i_module.i_ctx.get_module(statement.i_module.i_modulename)
    namespace = module.search_one("namespace").arg
    node = SchemaNode(
        tag=f"{{{namespace}}}{statement.arg}",
        name=statement.arg,
        module=module.arg,
        namespace=namespace,
        kind=statement.keyword,
        config=statement.i_config is not False,
        order=len(parent.children),
        parent=parent,
        user_ordered=_argument(statement, "ordered-by") == "user",
        presence=statement.search_one("presence") is not None,
        mandatory=_argument(statement, "mandatory") == "true",
        choices=choices,
    )
    if node.kind in {"leaf", "leaf-list"}:
        node.type = _type(statement.search_one("type"), statement)
        node.default = getattr(statement, "i_default_str", None) or _argument(statement, "default")
    _add_children(node, statement, ())
    return node


def _argument(statement: Any, keyword: str) -> str | None:
    found = statement.search_one(keyword)
    return found.arg if found is not None else None


def _bare(name: str) -> str:
    return name.rpartition(":")[2]


def _type(statement: Any, leaf: Any) -> TypeInfo:
    """Resolve typedefs down to the built-in type; a leafref follows its target, within unions it is a string."""
    while statement.i_typedef is not None:
        statement = statement.i_typedef.search_one("type")
    base = statement.arg
    if base == "union":
        return TypeInfo(base, members=tuple(_type(member, None) for member in statement.search("type")))
    if base == "enumeration":
        return TypeInfo(base, enums=tuple(item.arg for item in statement.search("enum")))
    if base == "bits":
        return TypeInfo(base, enums=tuple(item.arg for item in statement.search("bit")))
    if base == "decimal64":
        return TypeInfo(base, fraction_digits=int(_argument(statement, "fraction-digits") or 0))
    if base == "leafref":
        return TypeInfo(base, members=(_leafref_target(leaf),))
    return TypeInfo(base)


def _leafref_target(leaf: Any) -> TypeInfo:
    pointer = getattr(leaf, "i_leafref_ptr", None)
    if pointer is None:
        return TypeInfo("string")
    target: statements.Statement = pointer[0]
    return _type(target.search_one("type"), target)
