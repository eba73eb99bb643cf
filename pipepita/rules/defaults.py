"""The settings that a rule is trained with if the user does not choose others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Defaults:
    """Settings with which a rule learns, for a network of some depth: what `Rule.defaults` returns.

    Attributes:
        lr: The learning rate.
        optimizer: The optimizer, as `--optimizer` takes it.
        activation: The activation function of hidden layers, by its name.
        window: The largest window that `streaming` chooses by itself. With more samples in flight, deep networks do not
            learn at this learning rate.
        look_ahead: Whether standard passes use predicted weights if several samples are in flight.
        search: What `pipepita tune` searches if the user does not say, in its words.

    Example:
        >>> Defaults(activation="tanh").lr
        0.01
    """

    lr: float = 0.01
    optimizer: str = "sgd:momentum=0.9"
    activation: str = "relu"
    window: int = 4
    look_ahead: bool = False
    search: tuple[str, ...] = ("lr=log:1e-4..0.3",)
