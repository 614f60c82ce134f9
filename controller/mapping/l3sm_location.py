"""Owns reading what an access asks of its place: location, bearer, diversity, capacity (RFC 8299 6.3.1, 6.6)."""

from dataclasses import dataclass

from controller.mapping.reader import Reader

_DIVERSITY = ("bearer-diverse", "pe-diverse", "pop-diverse", "linecard-diverse", "same-pe", "same-bearer")


@dataclass(frozen=True, slots=True)
class Location:
    """Where a site stands, and the path to name when it cannot be served."""

    path: str
    address: str = ""
    postal_code: str = ""
    state: str = ""
    city: str = ""
    country: str = ""

    def __str__(self) -> str:
        town = " ".join(part for part in (self.postal_code, self.city) if part)
        return ", ".join(part for part in (self.address, town, self.state, self.country) if part)


@dataclass(frozen=True, slots=True)
class Constraint:
    """One diversity constraint; the target is groups, all other accesses of the site, or all other groups."""

    path: str
    kind: str
    groups: tuple[str, ...] = ()
    all_other_accesses: bool = False
    all_other_groups: bool = False


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """All that placement looks at for one access."""

    path: str
    location: Location
    groups: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    bearer_type: str
    is_bearer_type_strict: bool
    bearer_reference: str
    bandwidth: int
    """The larger of both directions, bit/s."""


def read_locations(site: Reader) -> dict[str, Location]:
    """A site's locations by id."""
    found = {}
    for entry in site.child("locations").entries("location", "location-id"):
        found[entry.required("location-id")] = Location(
            path=entry.path,
            address=entry.text("address"),
            postal_code=entry.text("postal-code"),
            state=entry.text("state"),
            city=entry.text("city"),
            country=entry.text("country-code"),
        )
    return found


def read_groups(holder: Reader) -> tuple[str, ...]:
    """The group-ids of a `groups` container."""
    return tuple(entry.required("group-id") for entry in holder.child("groups").entries("group", "group-id"))


def read_placement(
    access: Reader, locations: dict[str, Location], site_groups: tuple[str, ...], bandwidth: int
) -> PlacementRequest:
    """What one access asks of its place."""
    if access.has("device-reference"):
        raise access.refuse("device-reference", "customer routers are not managed", "use location-reference")
    reference = access.required("location-reference")
    if reference not in locations:
        raise access.wrong("location-reference", f"the site has no location '{reference}'", "define it or name another")
    diversity = access.child("access-diversity")
    bearer = access.child("bearer")
    requested = bearer.child("requested-type")
    if not bearer.boolean("always-on", default=True):
        raise bearer.refuse("always-on", "every bearer is always on", "leave the node out")
    return PlacementRequest(
        path=access.path,
        location=locations[reference],
        groups=tuple(dict.fromkeys(site_groups + read_groups(diversity))),
        constraints=tuple(
            _constraint(entry) for entry in diversity.child("constraints").entries("constraint", "constraint-type")
        ),
        bearer_type=requested.text("requested-type"),
        is_bearer_type_strict=requested.boolean("strict", default=False),
        bearer_reference=bearer.text("bearer-reference"),
        bandwidth=bandwidth,
    )


def _constraint(entry: Reader) -> Constraint:
    kind = entry.identity("constraint-type")
    if kind not in _DIVERSITY:
        raise entry.refuse("constraint-type", f"'{kind}' is not a known placement constraint")
    target = entry.child("target")
    return Constraint(
        path=entry.path,
        kind=kind,
        groups=tuple(group.required("group-id") for group in target.entries("group", "group-id")),
        all_other_accesses=target.empty("all-other-accesses"),
        all_other_groups=target.empty("all-other-groups"),
    )
