"""The stash form of PEPITA's modulated pass: see the table in `forms`."""

from __future__ import annotations

import copy

from pipepita.network.layer import Layer
from pipepita.network.synapse import Synapse
from pipepita.rules.forms.hebbian import Hebbian
from pipepita.rules.forms.textbook import Flight, Place, Textbook
from pipepita.rules.projection import Perturbation


class Stash(Textbook):
    """PipeDream's weight stashing: the modulated pass goes through a copy of the weights that the standard pass saw."""

    def __init__(self, layer: Layer, place: Place, perturbation: Perturbation | None, hebbian: Hebbian) -> None:
        super().__init__(layer, place, perturbation, hebbian)
        self._stashed: dict[int, Synapse] = {}  # a copy for each sample in flight

    def _keep(self, step: int, flight: Flight) -> None:
        super()._keep(step, flight)
        self._stashed[step] = copy.deepcopy(self.layer.synapse)

    def _synapse(self, step: int) -> Synapse:
        return self._stashed.pop(step)
