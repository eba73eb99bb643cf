"""What a rule is trained with unless somebody says otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """The settings under which a rule learns, for a network of some depth: what `Rule.defaults` returns.

    Attributes:
        lr: Learning rate.
        optimizer: As `--optimizer` takes it.
        activation: Of hidden layers, by its name.
        window: The most samples in flight that `streaming` takes by itself. With more of them deep networks stop
            learning at this rate.

    Example:
        >>> Defaults(activation="tanh").lr
        0.01
    """

    lr: float = 0.01
    optimizer: str = "sgd:momentum=0.9"
    activation: str = "relu"
    window: int = 4
