"""Owns remedies against what is foretold: what assurance asks for, made by the same hands as recoveries from faults.

Where a cause is known, it is kept away from; where none is, the fullest link of the service is relieved. What is agreed
to becomes a recovery of its own, with its proof, its verification and, if it does not help, its undoing.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from controller.assurance.breach import Breach
from controller.assurance.decision import NO_CAUSE, CauseFinding
from controller.model.errors import AccordError
from controller.model.identifiers import DeviceName
from controller.recovery.scoring import Candidate
from controller.recovery.situation import Fault, FaultKind, Flow
from controller.recovery.states import Mode
from controller.runtime.localisation import Localisation
from controller.runtime.recovery import FORETOLD, Recoveries
from controller.runtime.recovery_work import RecoveryWork
from controller.runtime.remedies import Proposal
from controller.topology.network import LinkId
from controller.twin.verdict import Verdict

_MOST_TRIED = 4
_ALSO = 0.8
"""Of how full the fullest link is, from which on the way back is relieved as well."""


@dataclass(frozen=True, slots=True)
class _Token:
    """What was proposed."""

    fault: Fault
    candidate: Candidate
    services: tuple[str, ...]


@dataclass(slots=True)
class RecoveryRemedies:
    """`runtime.remedies.Remedies`, by recovery."""

    localisation: Localisation
    work: RecoveryWork
    recoveries: Recoveries

    async def propose(self, service: str, breach: Breach, finding: CauseFinding) -> Proposal | None:
        """The best remedy that the twin proves; the best that it refuses where it proves none."""
        if self.recoveries.mode() is Mode.OFF:
            return None
        fault = await self._fault(service, breach, finding)
        if fault is None or self.recoveries.world.recoveries.open_for(fault.cause) is not None:
            return None
        refused: Proposal | None = None
        found = [one for one in await self.work.candidates(fault) if _is_for(one, service)]
        for candidate in found[:_MOST_TRIED]:
            remedy = candidate.remedy
            verdict, why = await self.work.prove(fault, remedy, remedy.summary)
            token = _Token(fault, candidate, _services(candidate, service))
            proposal = Proposal(remedy.summary, remedy.kind, verdict or Verdict(), token)
            if verdict is not None and not why:
                return proposal
            if verdict is not None and not verdict.is_proved:
                refused = refused or proposal
        return refused

    async def carry_out(self, proposal: Proposal, actor: str) -> str:
        """Through a recovery of its own; why it did not help, or empty."""
        token = proposal.token
        if not isinstance(token, _Token):
            return "this was not proposed by recovery"
        try:
            done = await self.recoveries.adopt(token.fault, token.services, token.candidate, actor)
        except AccordError as error:
            return str(error)
        return "" if done.is_over else f"{done.id} waits in the inbox: {done.reason}"

    async def _fault(self, service: str, breach: Breach, finding: CauseFinding) -> Fault | None:
        """What the service suffers from, or is going to."""
        known = next((fault for fault in self.localisation.faults if fault.cause == finding.cause), None)
        if known is not None and finding.cause != NO_CAUSE:
            # Before anybody suffers from a delay, whoever takes the link is to be kept from it.
            kind = FaultKind.LINK.value if known.kind == FaultKind.DELAY else known.kind
            return replace(known, kind=kind, reason=f"{FORETOLD}: {breach}")
        flows = (await self.localisation.flows.current()).of(service)
        database = self.work.topology.database
        links = list(dict.fromkeys(link for flow in flows for link in flow.links))
        busy = {link: self.localisation.witness.utilisation(database, link) for link in links}
        if not busy:
            return None
        fullest = max(links, key=lambda link: (busy[link], link))
        return Fault(
            cause=f"risk to {service}",
            kind=FaultKind.CONGESTION.value,
            elements=(fullest, *_as_full_on_the_way_back(fullest, flows, busy)),
            confidence=breach.confidence,
            symptoms=(str(breach),),
            reason=f"{FORETOLD}: {breach}; the fullest link is {fullest} at {busy[fullest]:.0%}",
            severity="minor",
        )


def _as_full_on_the_way_back(
    fullest: LinkId, flows: Iterable[Flow], busy: Mapping[LinkId, float]
) -> tuple[LinkId, ...]:
    """The fullest link of each flow opposite to those on the fullest of all, where that is about as full."""
    found = tuple(flows)
    opposite = {(flow.target, flow.source) for flow in found if fullest in flow.links}
    back = [
        max(flow.links, key=lambda link: (busy[link], link)) for flow in found if flow.links and _ends(flow) in opposite
    ]
    return tuple(dict.fromkeys(link for link in back if link != fullest and busy[link] >= _ALSO * busy[fullest]))


def _ends(flow: Flow) -> tuple[DeviceName, DeviceName]:
    return flow.source, flow.target


def _is_for(candidate: Candidate, service: str) -> bool:
    """Whether a remedy does something for the service itself, or takes others out of its way."""
    return bool(candidate.remedy.flows) and not any(
        name.startswith(f"{service} from ") for name, _ in candidate.remedy.missed
    )


def _services(candidate: Candidate, service: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((service, *_names(candidate.score.intents))))


def _names(intents: Iterable[tuple[str, float]]) -> Iterable[str]:
    return (name for name, _ in intents)
