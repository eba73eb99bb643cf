"""All that stages have learnt, as plain tensors. Snapshots and checkpoints are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipepita.network.layer import Layer


class State(NamedTuple):
    """All that stages without samples in flight have learnt, on the CPU. New stages continue from it to the same bits.

    Attributes:
        weights: By state_dict key.
        optimizer: The tensors of the optimizers, by layer and name, like "1.weight.velocity".
        memory: What the learners keep besides, by names that begin with the layer's.
    """

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    memory: dict[str, Tensor]

    @classmethod
    def merged(cls, parts: Iterable[State]) -> State:
        """Joins the states of several stages."""
        whole = cls({}, {}, {})
        for part in parts:
            for mine, theirs in zip(whole, part, strict=True):
                mine.update(theirs)
        return whole

    def arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The same as arrays that share the memory, for `of_arrays`. Ray sends them in a fifth of the time."""
        return {name: {k: v.numpy() for k, v in part.items()} for name, part in self._asdict().items()}

    @classmethod
    def of_arrays(cls, arrays: dict[str, dict[str, np.ndarray]]) -> State:
        """Makes a state from copies of what `arrays` returned."""
        return cls(**{name: {k: torch.from_numpy(v.copy()) for k, v in part.items()} for name, part in arrays.items()})

    def of(self, layers: Sequence[Layer]) -> State:
        """The part that belongs to `layers`."""
        prefixes = tuple(f"{name}." for layer in layers for name in layer.names)
        return State(*({k: v for k, v in part.items() if k.startswith(prefixes)} for part in self))
