"""Owns reading YAML files that people write: one document, no key twice, errors with file and line.

A few lines of aliases to aliases can stand for billions of nodes; what grows so by its aliases is refused.
"""

from pathlib import Path
from typing import Any

import yaml

from controller.model.errors import InvalidInputError, NotFoundError

_MOST_DEPTH = 100
"""The library builds trees by recursion in C, where too deep is the end of the process."""
_MOST_GROWTH = 10
_ALWAYS_ALLOWED = 10_000
"""Nodes that aliases may stand for in all, however few are written down."""


class _Loader(yaml.CSafeLoader):
    """Refuses a key that occurs twice; YAML says it must not, PyYAML would take the last."""


def _mapping_without_duplicates(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = str(key_node.value)
        if key_node.tag != "tag:yaml.org,2002:merge":
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' occurs twice", key_node.start_mark
                )
            seen.add(key)
    loader.flatten_mapping(node)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; an empty file is an empty one.

    Raises `NotFoundError` for a missing file, `InvalidInputError` naming file and line for anything else.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}", path=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"cannot read {path}: {error}", path=str(path)) from error
    return parse_mapping(text, str(path))


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """As `read_mapping`, for a text; `name` stands for the file in errors."""
    try:
        value = _load(text)
    except yaml.YAMLError as error:
        raise InvalidInputError(f"{name} is not good YAML: {_words(error)}", path=name) from error
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise InvalidInputError(f"{name} must hold a mapping with names as keys", path=name)
    return value


def _load(text: str) -> Any:
    _refuse_depth(text)
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        sizes: dict[int, int] = {}
        if "*" in text and _size(root, sizes) > _MOST_GROWTH * len(sizes) + _ALWAYS_ALLOWED:
            raise yaml.composer.ComposerError(None, None, "its aliases stand for too much", root.start_mark)
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, _Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MOST_DEPTH:
            raise yaml.YAMLError("it nests too deeply")


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many nodes a node stands for with its aliases written out; each is looked at once."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    known = sizes.get(id(node))
    if known == 0:
        raise yaml.composer.ComposerError(None, None, "an alias stands within its own anchor", node.start_mark)
    if known is None:
        sizes[id(node)] = 0
        inner = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known = sizes[id(node)] = 1 + sum(_size(part, sizes) for part in inner)
    return known


def _words(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error)
