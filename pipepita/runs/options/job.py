"""A training job, composed of groups of options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipepita.runs.options.learning import DataChoice, Epochs, Inputs, NetworkChoice, Reading, RuleChoice
from pipepita.runs.options.running import Chain, EngineChoice, Output, PassTimes, Places, ScheduleChoice

if TYPE_CHECKING:
    from torch import nn

    from pipepita.data import Data


class Options(Reading, Epochs, ScheduleChoice, Places, Chain, PassTimes, Output):
    """How to train: everything but the network, the data, the rule and the engine.

    `reading.checked` makes one and raises `UserError` for an unknown name or a value out of bounds.
    """


class Job(DataChoice, Inputs, NetworkChoice, RuleChoice, EngineChoice, Options):
    """A whole job, as on the command line or in a TOML file."""

    def model(self, data: Data) -> nn.Sequential:
        """An untrained network for `data`."""
        return self.build(data.item_shape, data.classes, self.make_rule())

    def options(self) -> Options:
        """The options that `train` takes in addition to model, data, rule and engine."""
        return Options(**{name: getattr(self, name) for name in Options.model_fields})
