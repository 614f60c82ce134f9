"""Owns what assurance asks of recovery: what began it, what would help, and that it be carried out.

Assurance decides and recovery acts: neither knows how the other does it. Where nobody localises or proposes, the record
of the decision says so and nothing is done. A `service` is a VPN's id, as `accord service list` has it.
"""

from dataclasses import dataclass
from typing import Protocol

from controller.assurance.breach import Breach
from controller.assurance.decision import CauseFinding
from controller.twin.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Proposal:
    """A remedy that is planned and that the twin has looked at.

    `remedy` is a sentence for people, `kind` names its sort (`reroute`, `shift`), `token` is recovery's own.
    """

    remedy: str
    kind: str
    verdict: Verdict
    token: object


class Localiser(Protocol):
    """Who finds what began it."""

    def finding_for(self, service: str) -> CauseFinding | None:
        """The cause of what a service suffers, or that none is known; None while it is still being looked for."""
        ...


class Remedies(Protocol):
    """Who knows what would help, and does it."""

    async def propose(self, service: str, breach: Breach, finding: CauseFinding) -> Proposal | None:
        """The best remedy against a breach of a service's objective; None where nothing would help."""
        ...

    async def carry_out(self, proposal: Proposal, actor: str) -> str:
        """Carry out what was proposed; empty when it is done and holds, or why it is not."""
        ...
