"""Owns: rendering the part of a configuration that a path names: braces, set commands, XML, JSON, a comparison."""

from collections.abc import Iterable, Iterator

from lxml import etree

from lab.router.cli_display import braces, compare
from lab.router.cli_pipe import Pipes
from lab.router.cli_syntax import Statement, instance_words, parse_path, place_words, set_lines
from lab.router.cli_tokens import Token
from lab.router.json_codec import JsonCodec
from lab.router.restconf_media import write_json
from lab.router.restconf_target import Target
from lab.router.schema import Schema, SchemaNode

Element = etree._Element  # noqa: SLF001  # lxml has no public name for it


def render(schema: Schema, tree: Element, base: Element, tokens: list[Token], pipes: Pipes, *, end: int) -> str:
    """What `show` answers for the path `tokens`; `base` is what to compare with. Raises `CliError` for a bad path."""
    statement = parse_path(schema, tokens, end=end, whole_lists=True, values=False)
    found = statement.target.find(tree)
    if pipes.display == "compare":
        return _lines(compare(schema, base, tree))
    if pipes.display == "set":
        return _lines(line for element in found for line in _sets(statement, element))
    if pipes.display == "json":
        return _json(statement.target, found)
    if pipes.display == "xml":
        return "".join(
            etree.tostring(item, encoding="unicode", pretty_print=True, with_tail=False).rstrip() + "\n"
            for item in found
        )
    return _lines(line for element in found for line in _braces(statement.target, element))


def _lines(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _sets(statement: Statement, element: Element) -> Iterator[str]:
    target = statement.target
    schema, node = target.schema, target.node
    path = [word for place in target.parent.places for word in place_words(schema, place)] if target.places else []
    path += instance_words(schema, node, element) if target.places else []
    lines = [] if node.kind in {"leaf", "leaf-list"} else list(set_lines(schema, node, element, path))
    if not lines and target.places and not node.pruned_when_empty:
        lines = ["set " + " ".join(path)]
    yield from lines


def _braces(target: Target, element: Element) -> Iterator[str]:
    """The content of a container; a leaf, or an entry of a whole list, with its own line around."""
    node = target.node
    if node.kind == "container" or (node.kind == "list" and not target.is_bare_list):
        yield from braces(target.schema, node, element)
        return
    head = " ".join(instance_words(target.schema, node, element))
    inner = list(braces(target.schema, node, element, "    ")) if node.kind == "list" else []
    yield from [head + " {", *inner, "}"] if inner else [head + ";"]


def _json(target: Target, found: list[Element]) -> str:
    codec = JsonCodec(target.schema)
    outer = target.schema.root
    if target.places:
        # Below a nameless parent the node carries its module's name.
        outer = SchemaNode("", "", "", "", "container", children={target.node.tag: target.node})
        return write_json(codec.encode_members(outer, found)).decode()
    return write_json(codec.encode_members(outer, found[0])).decode()
