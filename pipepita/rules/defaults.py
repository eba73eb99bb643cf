"""What a rule is trained with unless somebody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """The settings under which a rule learns, for a network of some depth.

    lr: learning rate. optimizer: as `--optimizer` takes it. activation: of hidden layers, by its name. window: the most
    samples in flight that `streaming` takes by itself; with more of them deep networks stop learning at this rate.
    """

    lr: float = 0.01
    optimizer: str = "sgd:momentum=0.9"
    activation: str = "relu"
    window: int = 4
