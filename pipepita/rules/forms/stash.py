"""The stash form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

import copy

from pipepita.network.layer import Layer
from pipepita.network.synapse import Synapse
from pipepita.rules.forms.hebbian import Hebbian, StandardPass
from pipepita.rules.forms.textbook import Position, Textbook
from pipepita.rules.projection import Perturbation


class Stash(Textbook):
    """PipeDream's weight stashing: the modulated pass uses a copy of the weights of the same sample's standard pass."""

    def __init__(self, layer: Layer, position: Position, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        super().__init__(layer, position, perturbation, hebbian)
        self._stashed: dict[int, Synapse] = {}  # one copy of the weights for each sample in flight

    def _keep(self, step: int, kept: StandardPass) -> None:
        super()._keep(step, kept)
        self._stashed[step] = copy.deepcopy(self.layer.synapse)

    def _synapse(self, step: int) -> Synapse:
        return self._stashed.pop(step)
