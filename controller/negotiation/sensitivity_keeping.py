"""Owns keeping the price-sensitivity record: which of the records of BSS say that a price was taken, or was not.

An offer that is accepted is a point; when none of a round is, each of them is one. Askers are known by their labels
from here on (`sensitivity`).
"""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from controller.model.errors import AccordError
from controller.negotiation.agreement import Terms
from controller.negotiation.catalogue import Catalogue
from controller.negotiation.desk import Desk
from controller.negotiation.records import Record
from controller.negotiation.roles import Tool
from controller.negotiation.sensitivity import PriceSensitivity, operational_label

Json = Any


@dataclass(slots=True)
class SensitivityKeeper:
    """Folds the records of BSS, after its desk. `key` is what makes labels of names."""

    desk: Desk
    catalogue: Catalogue
    key: bytes = field(repr=False)
    record: PriceSensitivity = field(default_factory=PriceSensitivity)
    _asked: dict[str, tuple[Terms, ...]] = field(default_factory=dict)
    """By negotiation: what was offered last and has no answer yet."""

    def apply(self, record: Record) -> None:
        """Fold one."""
        dialogue = self.desk.dialogue(record.subject)
        offered = self._asked.get(record.subject, ())
        if record.tool is Tool.OFFER:
            self._answered(offered, None, record.time)
            self._asked[record.subject] = dialogue.offers
        elif offered and (dialogue.chosen is not None or dialogue.stage.is_final):
            del self._asked[record.subject]
            self._answered(offered, dialogue.chosen, record.time)

    def to_json(self) -> Json:
        """The record and what waits for an answer, for a snapshot."""
        asked = {subject: [terms.to_json() for terms in offered] for subject, offered in self._asked.items()}
        return {"points": self.record.to_json(), "asked": asked}

    def load_json(self, document: Json) -> None:
        """Put back what `to_json` gave."""
        self.record.load_json(document["points"])
        self._asked = {subject: tuple(map(Terms.from_json, offered)) for subject, offered in document["asked"].items()}

    def _answered(self, offered: tuple[Terms, ...], chosen: Terms | None, now: float) -> None:
        for terms in offered if chosen is None else (chosen,):
            label, kind = operational_label(terms.consumer, self.key), terms.request.workload_class
            # What is not in the catalogue any more has no base price to be a markup of.
            with suppress(AccordError):
                self.record.answered(terms.quote, self.catalogue, label, kind, is_accepted=chosen is not None, now=now)
