"""Owns attenuation: a delegated wallet is no wider than its parent in any term, and counts against all above it."""

from controller.model.money import Money
from controller.negotiation.wallet import ClassTerms, ServiceLevelFloor, Wallet, WalletTerms, scopes_of


def widened(child: Wallet, parent: Wallet) -> str:
    """The first thing in which a child goes beyond its parent, in words; empty when there is none."""
    return _lineage(child, parent) or _terms(child.terms, parent.terms)


def _lineage(child: Wallet, parent: Wallet) -> str:
    allowed = parent.terms.delegation
    if child.parent != parent.id:
        return "it does not name the wallet it is delegated from as its parent"
    if child.issuer != parent.holder:
        return "only the holder of a wallet delegates from it"
    if scopes_of(child.envelope)[:-1] != scopes_of(parent.envelope):
        return "its envelope is not a part of its parent's"
    if allowed.depth < 1:
        return "its parent may not be delegated from"
    if allowed.holders and child.holder not in allowed.holders:
        return "its parent may not be delegated to this holder"
    return ""


def _terms(child: WalletTerms, parent: WalletTerms) -> str:
    if child.ceiling.currency != parent.ceiling.currency:
        return "its currency is another"
    rules = child.delegation
    wider = {
        "ceiling": child.ceiling > parent.ceiling,
        "maximum rate": _beyond(child.maximum_rate_per_hour, parent.maximum_rate_per_hour),
        "validity": child.valid_from < parent.valid_from or child.valid_until > parent.valid_until,
        "service-level floor": bool(_lower(child.floor, parent.floor)),
        "depth of delegation": rules.depth > parent.delegation.depth - 1,
        "list of holders": _opens(rules.holders, parent.delegation.holders, is_used=rules.depth > 0),
        "list of operators": _opens(child.operators, parent.operators),
        "list of workload classes": not child.classes.keys() <= parent.classes.keys(),
    }
    for term, is_wider in wider.items():
        if is_wider:
            return f"its {term} is wider than its parent's"
    for name, terms in child.classes.items():
        if _class_beyond(terms, parent.classes[name]):
            return f"its terms for class '{name}' are wider than its parent's"
    return ""


def _class_beyond(child: ClassTerms, parent: ClassTerms) -> bool:
    return _beyond(child.ceiling, parent.ceiling) or child.multiplier > parent.multiplier


def _beyond(child: Money | None, parent: Money | None) -> bool:
    """Whether a bound is looser; none at all is the loosest."""
    return parent is not None and (child is None or child > parent)


def _lower(child: ServiceLevelFloor, parent: ServiceLevelFloor) -> str:
    """Read as an offer, a child's floor must honour its parent's."""
    return parent.broken_by(child)


def _opens(child: frozenset[str], parent: frozenset[str], *, is_used: bool = True) -> bool:
    """Whether a list names somebody more; an empty one names everybody."""
    return is_used and bool(parent) and (not child or not child <= parent)
