"""Owns which late links a service's packets take: late beside what is expected of them (`topology.expected_delay`)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

from controller.assurance.objectives_l3sm import Access
from controller.mapping.fragment import service_id
from controller.runtime.assurance_measures import Measures
from controller.topology.expected_delay import LateLink, late_links
from controller.topology.te_database import TeDatabase


@dataclass(slots=True)
class LateLinks:
    """Looked for when something new was measured."""

    measures: Measures
    _found: tuple[LateLink, ...] = ()
    _of: TeDatabase | None = None

    def now(self) -> tuple[LateLink, ...]:
        """All of them."""
        database = self.measures.topology.database
        if self._of is not database:
            self._found, self._of = tuple(late_links(database)), database
        return self._found

    def of(self, agreement: str, accesses: Sequence[Access]) -> tuple[LateLink, ...]:
        """Those on the ways between a service's routers."""
        if not (late := self.now()):
            return ()
        routers = sorted({one.device for one in accesses})
        ways = (self.measures.way(service_id(agreement), head, tail) for head, tail in permutations(routers, 2))
        taken = {link.id for way in ways for link in way}
        return tuple(one for one in late if one.link.id in taken)
