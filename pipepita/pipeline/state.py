"""All that stages have learnt, as plain tensors: what snapshots and checkpoints are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipepita.network.layer import Layer


class State(NamedTuple):
    """All that drained stages have learnt, on the CPU: with it, stages built anew go on to the same bits.

    weights: by state_dict key. optimizer: by layer and name ("1.weight.velocity"). memory: what the rule keeps beside.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    memory: dict[str, Tensor]

    @classmethod
    def merged(cls, parts: Iterable[State]) -> State:
        """One state of those of several stages."""
        whole = cls({}, {}, {})
        for part in parts:
            for mine, theirs in zip(whole, part, strict=True):
                mine.update(theirs)
        return whole

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The same as arrays on the same memory, for `of_arrays`: they travel through Ray in a fifth of the time."""
        return {name: {k: v.numpy() for k, v in part.items()} for name, part in self._asdict().items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, dict[str, np.ndarray]]) -> State:
        """A state of its own from what `arrays` gave."""
        return cls(**{name: {k: torch.from_numpy(v.copy()) for k, v in part.items()} for name, part in arrays.items()})

    def of(self, layers: Sequence[Layer]) -> State:
        """The part that is about `layers`."""
        prefixes = tuple(f"{layer.name}." for layer in layers)
        return State(*({k: v for k, v in part.items() if k.startswith(prefixes)} for part in self))
