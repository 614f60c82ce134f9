"""Owns fallback policies by configuration: what may be done for a service when something fails, degrading it included.

Said of one VPN it counts before what the intent says; said of its customer, its priority or of all, where the intent
says nothing.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from controller.model.errors import InvalidInputError
from controller.recovery.situation import FALLBACK, RemedyKind, fallback_of

Policy = tuple[RemedyKind, ...]
_ALL = "*"
_CUSTOMER = "customer:"
_PRIORITY = re.compile(r"^priority:([1-9])(?:-([1-9]))?$")


@dataclass(frozen=True, slots=True)
class FallbackPolicies:
    """Policies by what they are said of; `of` makes them of the words that were set."""

    services: Mapping[str, Policy] = field(default_factory=dict)
    customers: Mapping[str, Policy] = field(default_factory=dict)
    priorities: Mapping[int, Policy] = field(default_factory=dict)
    usual: Policy = FALLBACK

    @classmethod
    def of(cls, said: Mapping[str, str]) -> "FallbackPolicies":
        """`InvalidInputError` names what cannot be meant."""
        services, customers, priorities, usual = {}, {}, {}, FALLBACK
        for subject, words in said.items():
            policy = fallback_of(words, f"recovery.fallback_policies.{subject}")
            if subject == _ALL:
                usual = policy
            elif subject.startswith(_CUSTOMER):
                customers[subject.removeprefix(_CUSTOMER).strip().casefold()] = policy
            elif subject.startswith("priority:"):
                priorities.update(dict.fromkeys(_priorities(subject), policy))
            else:
                services[subject] = policy
        return cls(services, customers, priorities, usual)

    def policy(self, service: str, customer: str, priority: int, own: Policy | None) -> Policy:
        """What is allowed for a service; `own` is what its intent says, None where it says nothing."""
        if service in self.services:
            return self.services[service]
        if own is not None:
            return own
        if customer.casefold() in self.customers:
            return self.customers[customer.casefold()]
        return self.priorities.get(priority, self.usual)


def _priorities(subject: str) -> range:
    match = _PRIORITY.match(subject)
    if match is None:
        raise InvalidInputError(
            f"'{subject}' names no priority",
            remedy="write priority:7, or priority:7-9",
            path=f"recovery.fallback_policies.{subject}",
        )
    first = int(match[1])
    return range(first, int(match[2] or first) + 1)
