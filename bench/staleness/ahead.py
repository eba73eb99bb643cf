"""What predicted weights are worth: test accuracy against samples in flight, without and with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pipepita as pp
from bench.common import note
from bench.staleness.accuracies import Accuracies, Silent
from pipepita.experiments.depth_conv import network

EPOCHS = 3


@dataclass(frozen=True)
class Case:
    """A network, its data, and how it is trained.

    Attributes:
        title: What the table calls it.
        data: The data.
        spec: The network, as `pipepita.build` takes it.
        normal: Whether hidden activity is normalised.
        rule: The rule.
        settings: More arguments of `pipepita.train`.
    """

    title: str
    data: pp.Data
    spec: str
    normal: bool
    rule: pp.Rule
    settings: dict[str, Any]

    def accuracies(self, seeds: tuple[int, ...], window: int, look_ahead: str) -> Accuracies:
        """One run per seed, in this process."""
        accuracies = Accuracies()
        for seed in seeds:
            model = pp.build(self.spec, self.data.item_shape, self.data.classes, normal=self.normal)
            try:
                result = pp.train(
                    model, self.data, rule=self.rule, engine="local", normalize=False, device="cpu", observer=Silent(),
                    epochs=EPOCHS, seed=seed, schedule="streaming" if window > 1 else "relaxed", window=window,
                    look_ahead=look_ahead, **self.settings,
                )  # fmt: skip
                accuracies.values.append(result.test_accuracy)
            except pp.Diverged as error:
                accuracies.diverged += 1
                note(f"  seed {seed}: {error}")
        note(f"{self.title}, window {window}, look-ahead {look_ahead}: {accuracies}")
        return accuracies


def cases(mnist: pp.Data, cifar10: pp.Data) -> list[Case]:
    """Fully connected networks on MNIST and three convolutions on CIFAR-10, with learned projections."""
    adam: dict[str, Any] = {"optimizer": "adam", "lr": 3e-4, "batch_size": 64}
    momentum: dict[str, Any] = {"optimizer": "sgd:momentum=0.9", "lr": 0.05, "batch_size": 64}
    deep = pp.Pepita(modulate="all", f_scale=0.1, feedback="learned")
    convolutions = pp.Pepita(modulate="all", f_scale=0.05, feedback="learned", compare="sent")
    return [
        Case("MNIST, 8 x 256, Adam 3e-4", mnist, "fc:256x8", True, deep, adam),
        Case("MNIST, 8 x 256, momentum, lr 0.05", mnist, "fc:256x8", True, deep, momentum),
        *(
            Case(
                f"CIFAR-10, 3 convolutions, Adam {lr:g}", cifar10, network(3), False, convolutions,
                {"optimizer": "adam", "lr": lr, "batch_size": 100, "standardize": True, "init": "zero-output"},
            )
            for lr in (1e-3, 3e-4, 1.5e-4, 1e-4)
        ),
    ]  # fmt: skip


def table(case: Case, seeds: tuple[int, ...], windows: tuple[int, ...]) -> list[dict[str, Any]]:
    """One row per choice of look-ahead, one column per window. (At window 1 there is nothing to look ahead to.)"""
    return [
        {
            case.title: f"look-ahead {look_ahead}",
            **{
                f"window {window}": ""
                if (window, look_ahead) == (1, "on")
                else case.accuracies(seeds, window, look_ahead)
                for window in windows
            },
        }
        for look_ahead in ("off", "on")
    ]
