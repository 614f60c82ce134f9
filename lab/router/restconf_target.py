"""Owns: what a data resource identifier points at, in the schema and in a tree (RFC 8040 sections 3.5.1 and 3.5.3)."""

from dataclasses import dataclass

from lxml import etree

from lab.router.json_values import encode_value, text_of_key
from lab.router.restconf_errors import refuse
from lab.router.restconf_uri import Step, encode_key
from lab.router.schema import Schema, SchemaNode
from lab.router.xml import nsmap, quoted


@dataclass(frozen=True, slots=True)
class Place:
    """One resolved step: the schema node and, for a list or leaf-list instance, its key values in JSON's spelling."""

    node: SchemaNode
    keys: tuple[str, ...] | None = None

    def matches(self, schema: Schema, element: etree._Element) -> bool:
        """Whether `element` is the instance this step names; any instance when no keys were given."""
        if self.keys is None:
            return True
        if self.node.kind == "leaf-list":
            return lexical(schema, self.node, element) == self.keys[0]
        for tag, wanted in zip(self.node.keys, self.keys, strict=True):
            key = element.find(tag)
            if key is None or lexical(schema, self.node.children[tag], key) != wanted:
                return False
        return True


@dataclass(frozen=True, slots=True)
class Target:
    """The path from the datastore to a data resource; no places means the datastore resource itself."""

    schema: Schema
    places: tuple[Place, ...]

    @property
    def node(self) -> SchemaNode:
        """The target's schema node; the schema's root for the datastore."""
        return self.places[-1].node if self.places else self.schema.root

    @property
    def parent(self) -> "Target":
        """The resource one step up."""
        return Target(self.schema, self.places[:-1])

    @property
    def is_bare_list(self) -> bool:
        """Whether it names all instances of a list or leaf-list rather than one."""
        return bool(self.places) and self.node.kind in {"list", "leaf-list"} and self.places[-1].keys is None

    def steps(self) -> tuple[Step, ...]:
        """The steps that resolve to this target."""
        return tuple(Step(place.node.module, place.node.name, place.keys) for place in self.places)

    def path(self) -> str:
        """The instance-identifier, every step and key with its module's name."""
        return "".join(_path_step(place) for place in self.places) or "/"

    def find(self, tree: etree._Element) -> list[etree._Element]:
        """The instances below the <data> element `tree`; the element itself for the datastore."""
        found = [tree]
        for place in self.places:
            found = [
                child
                for element in found
                for child in element.iterchildren(place.node.tag)
                if place.matches(self.schema, child)
            ]
        return found

    def exists(self, tree: etree._Element) -> bool:
        """Whether the resource is there; containers without presence are, wherever their parent is."""
        places = self.places
        while places and places[-1].node.kind == "container" and not places[-1].node.presence:
            places = places[:-1]
        return bool(Target(self.schema, places).find(tree))

    def shell(self, parent: etree._Element) -> etree._Element:
        """Append just the target's own element to `parent`: keys or value, no other content; return it."""
        return append_instance(self.schema, parent, self.places[-1])

    def build(self, root: etree._Element) -> etree._Element:
        """Append the chain of elements down to the target to `root`, with list keys, and return the last."""
        element = root
        for place in self.places:
            element = append_instance(self.schema, element, place)
        return element


def append_instance(schema: Schema, parent: etree._Element, place: Place) -> etree._Element:
    """Append an element for `place` to `parent`: with its keys for a list entry, its value for a leaf-list entry."""
    if place.node.kind == "leaf-list" and place.keys is not None:
        return _append_leaf(schema, parent, place.node, place.keys[0])
    element = etree.SubElement(parent, place.node.tag, nsmap=nsmap(place.node.namespace))
    for tag, value in zip(place.node.keys, place.keys or (), strict=False):
        _append_leaf(schema, element, place.node.children[tag], value)
    return element


def _append_leaf(schema: Schema, parent: etree._Element, node: SchemaNode, value: str) -> etree._Element:
    text, prefixes = text_of_key(schema, node, value)
    leaf = etree.SubElement(parent, node.tag, nsmap=nsmap(node.namespace, **prefixes))
    leaf.text = text or None
    return leaf


def lexical(schema: Schema, node: SchemaNode, element: etree._Element) -> str:
    """A value as it is spelled in paths: JSON's spelling without quotes."""
    value = encode_value(schema, node, element)
    return element.text or "" if isinstance(value, bool | list) else str(value)


def _path_step(place: Place) -> str:
    step = f"/{place.node.module}:{place.node.name}"
    if place.keys is None:
        return step
    if place.node.kind == "leaf-list":
        return f"{step}[.={quoted(place.keys[0])}]"
    names = [place.node.children[tag] for tag in place.node.keys]
    return step + "".join(
        f"[{key.module}:{key.name}={quoted(value)}]" for key, value in zip(names, place.keys, strict=True)
    )


def resolve(schema: Schema, steps: tuple[Step, ...]) -> Target:
    """The target that `steps` name in `schema`.

    Raises `RestconfError` (invalid-value): 404 for a node that the schema lacks, 400 for keys that do not fit.
    """
    places: list[Place] = []
    node = schema.root
    for step in steps:
        node = _child(node, step, top=not places)
        places.append(Place(node, _checked_keys(node, step)))
    for place in places[:-1]:
        if place.keys is None and place.node.kind == "list":
            raise refuse("invalid-value", f"list {place.node.name!r} needs its key values, as {place.node.name}=value")
    return Target(schema, tuple(places))


def _child(parent: SchemaNode, step: Step, *, top: bool) -> SchemaNode:
    if top and step.module is None:
        raise refuse("invalid-value", f"the first step {step.name!r} needs its module's name, as module:{step.name}")
    wanted = step.module or parent.module
    for node in parent.children.values():
        if node.name == step.name and node.module == wanted:
            return node
    raise refuse("invalid-value", f"{parent.name or 'the datastore'} has no child {wanted}:{step.name}", status=404)


def _checked_keys(node: SchemaNode, step: Step) -> tuple[str, ...] | None:
    if step.keys is None:
        return None
    wanted = {"list": len(node.keys), "leaf-list": 1}.get(node.kind, 0)
    if len(step.keys) != wanted:
        names = ", ".join(node.children[tag].name for tag in node.keys) or "none"
        raise refuse(
            "invalid-value", f"{node.name!r} takes {wanted} key value(s) ({names}), {len(step.keys)} were given"
        )
    return step.keys


def resource_path(target: Target) -> str:
    """The percent-encoded path of a resource below /restconf/data, each step with its module where it changes."""
    parts: list[str] = []
    module = ""
    for place in target.places:
        name = place.node.name if place.node.module == module else f"{place.node.module}:{place.node.name}"
        module = place.node.module
        parts.append(f"/{name}" + ("=" + ",".join(map(encode_key, place.keys)) if place.keys is not None else ""))
    return "".join(parts)


def place_of(schema: Schema, node: SchemaNode, element: etree._Element) -> Place:
    """The place an instance element stands at. Raises `RestconfError` (missing-element) when a key is absent."""
    if node.kind == "leaf-list":
        return Place(node, (lexical(schema, node, element),))
    if node.kind != "list":
        return Place(node)
    keys = []
    for tag in node.keys:
        key = element.find(tag)
        if key is None:
            raise refuse("missing-element", f"key {node.children[tag].name!r} of list {node.name!r} is missing")
        keys.append(lexical(schema, node.children[tag], key))
    return Place(node, tuple(keys))
