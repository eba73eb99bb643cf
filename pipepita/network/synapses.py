"""Which synapse serves which torch module. A new kind of map is one class, and one entry here."""

from __future__ import annotations

from torch import nn

from pipepita.network.shared import SharedConv2d, SharedConvSynapse, SharedLinear, SharedLinearSynapse
from pipepita.network.synapse import ConvSynapse, LinearSynapse, Synapse

_SYNAPSES: dict[type[nn.Module], type[LinearSynapse] | type[ConvSynapse]] = {
    nn.Linear: LinearSynapse,
    nn.Conv2d: ConvSynapse,
    SharedLinear: SharedLinearSynapse,
    SharedConv2d: SharedConvSynapse,
}


def synapse(module: nn.Module) -> Synapse:
    """The synapse of a trainable map, which holds `module` itself."""
    return _SYNAPSES[type(module)](module)  # type: ignore[arg-type, return-value]
