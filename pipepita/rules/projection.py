"""What perturbs the input of a modulated pass: D_{l-1} in m_{l-1} = h_{l-1} + D_{l-1}.

| perturbation | D_{l-1}                                               | source                                   |
|--------------|-------------------------------------------------------|------------------------------------------|
| error        | F_l e                                                 | Dellaferrera & Kreiman 2022, section 3   |
| sign         | F_l sign(e), with F_l a tenth as large                | the same, Discussion; the published code |
| random       | noise with F_l's distribution, whatever the error was | the same, Appendix D: an ablation        |

A new one is one class here and one entry in `PERTURBATIONS`.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform


class Perturbation(Protocol):
    """What enters at one layer.

    feedback: F_l^T, (classes, width), if D_{l-1} is a mixture of its rows.
    """

    feedback: Tensor | None

    def __init__(self, layer: Layer, classes: int, bound: float, seed: int) -> None:
        """For entries of F_l (or noise) in [-bound, bound]."""

    def __call__(self, step: int, error: Tensor) -> Tensor:
        """D_{l-1} of sample `step`: (B, classes) -> (B, width)."""

    def shares(self, error: Tensor) -> Tensor:
        """In which shares the rows of `feedback` make up D_{l-1}: (B, classes)."""


class ProjectedError:
    """F_l e, with F_l ~ U(-bound, bound) drawn from (seed, "feedback", l)."""

    _scale = 1.0
    feedback: Tensor | None

    def __init__(self, layer: Layer, classes: int, bound: float, seed: int) -> None:
        source = generator(seed, "feedback", layer.number)
        drawn = uniform((classes, layer.width), bound * self._scale, source)
        self.feedback = drawn.to(layer.parameters[0].device)

    def shares(self, error: Tensor) -> Tensor:
        return error

    def __call__(self, step: int, error: Tensor) -> Tensor:
        assert self.feedback is not None
        return self.shares(error) @ self.feedback


class ProjectedSign(ProjectedError):
    """F_l sign(e): the coordinator's error as a vector of signs."""

    _scale = 0.1

    def shares(self, error: Tensor) -> Tensor:
        return error.sign()


class Noise:
    """U(-bound, bound), drawn from (seed, "perturbation", l, step)."""

    feedback: Tensor | None = None

    def __init__(self, layer: Layer, classes: int, bound: float, seed: int) -> None:
        self._layer, self._bound, self._seed = layer, bound, seed

    def shares(self, error: Tensor) -> Tensor:
        raise NotImplementedError("noise is no mixture")

    def __call__(self, step: int, error: Tensor) -> Tensor:
        source = generator(self._seed, "perturbation", self._layer.number, step, device=error.device)
        shape = len(error), self._layer.width
        return torch.empty(shape, device=error.device).uniform_(-self._bound, self._bound, generator=source)


PERTURBATIONS: dict[str, type[Perturbation]] = {
    "error": ProjectedError,
    "sign": ProjectedSign,
    "random": Noise,
}
