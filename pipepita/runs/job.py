"""What a training job is made of: groups of options, composed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipepita.runs.learning import DataChoice, Epochs, NetworkChoice, RuleChoice
from pipepita.runs.options import Chain, EngineChoice, Output, PassTimes, Places, ScheduleChoice

if TYPE_CHECKING:
    from torch import nn

    from pipepita.data import Data


class Options(Epochs, ScheduleChoice, Places, Chain, PassTimes, Output):
    """How to train: everything that is neither the network, the data, the rule nor the engine.

    Raises `UserError` (through `reading.checked`) for an unknown name or a value out of bounds.
    """


class Job(DataChoice, NetworkChoice, RuleChoice, EngineChoice, Options):
    """A whole job, as on the command line or in a TOML file."""

    def model(self, data: Data) -> nn.Sequential:
        """An untrained network for `data`."""
        return self.build(data.item_shape, data.classes, self.make_rule())

    def options(self) -> Options:
        """The part that `train` takes beside model, data, rule and engine."""
        return Options(**{name: getattr(self, name) for name in Options.model_fields})
