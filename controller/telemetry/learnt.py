"""Owns taking what many series have taught out of what learns, column by column, and putting it back elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from controller.model.errors import InvalidInputError

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Attributes of `owner`: `arrays` have the series last, `counts` are whole numbers that hold for all of them."""

    name: str
    owner: object
    arrays: tuple[str, ...]
    counts: tuple[str, ...] = ()

    def taken(self, columns: Sequence[int]) -> dict[str, NDArray[Any]]:
        """A copy of these series."""
        found = {f"{self.name}.{one}": getattr(self.owner, one)[..., columns] for one in self.arrays}
        return found | {f"{self.name}.{one}": np.array(getattr(self.owner, one)) for one in self.counts}

    def put(self, kept: Arrays, columns: Sequence[int]) -> None:
        """Put some of what was taken in place of all that is there; `InvalidInputError` where it does not fit."""
        for one in self.arrays:
            there, value = getattr(self.owner, one), kept[f"{self.name}.{one}"][..., columns]
            if value.shape != there.shape or value.dtype != there.dtype or not np.isfinite(value).all():
                raise InvalidInputError(f"what is kept of {self.name}.{one} does not fit")
            setattr(self.owner, one, value.copy())
        for one in self.counts:
            setattr(self.owner, one, int(kept[f"{self.name}.{one}"]))
