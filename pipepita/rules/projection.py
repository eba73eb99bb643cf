"""What perturbs the input of a modulated pass: the term D_{l-1} in m_{l-1} = h_{l-1} + D_{l-1}.

| perturbation | D_{l-1}                                               | source                                   |
|--------------|-------------------------------------------------------|------------------------------------------|
| error        | F_l e                                                 | Dellaferrera & Kreiman 2022, section 3   |
| sign         | F_l sign(e), with F_l a tenth as large                | the same, Discussion; the published code |
| random       | noise with F_l's distribution, whatever the error is  | the same, Appendix D: an ablation        |

To add one, write one class here and one entry in `PERTURBATIONS`.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from pipepita.network.layer import Layer
from pipepita.randomness import generator, uniform


class Perturbation(Protocol):
    """What enters at one layer: D_{l-1}, which depends on the error or is random.

    width is that of the layer's input, and the tensors are float32.

    Attributes:
        feedback: F_l^T, (classes, width), if D_{l-1} = `shares(error)` @ F_l^T; None if it has no such form.

    Example:
        >>> from torch import nn
        >>> from pipepita.network.cut import cut
        >>> layer = cut(nn.Sequential(nn.Linear(6, 3)), (6,), 3)[0]
        >>> perturbation = ProjectedSign(layer, classes=3, bound=1.0, seed=0)
        >>> perturbation(0, torch.rand(8, 3)).shape, perturbation.feedback.shape
        (torch.Size([8, 6]), torch.Size([3, 6]))
    """

    feedback: Tensor | None

    def __init__(self, layer: Layer, classes: int, bound: float, seed: int) -> None:
        """Draws what is drawn once.

        Args:
            layer: The layer at which the error enters.
            classes: How many classes there are.
            bound: F_l or the noise has entries in [-bound, bound].
            seed: Everything is drawn from `pipepita.randomness.generator(seed, purpose, layer.number, ...)`.
        """

    def __call__(self, step: int, error: Tensor) -> Tensor:
        """D_{l-1} of one sample.

        Args:
            step: The sample's number.
            error: (B, classes): output minus target.

        Returns:
            (B, width).
        """

    def shares(self, error: Tensor) -> Tensor:
        """How much of each row of `feedback` is in D_{l-1}.

        Args:
            error: (B, classes).

        Returns:
            (B, classes).

        Raises:
            NotImplementedError: There is no `feedback`.
        """


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
    """F_l sign(e): only the signs of the error enter, and the entries of F_l are a tenth as large."""

    _scale = 0.1

    def shares(self, error: Tensor) -> Tensor:
        return error.sign()


class Noise:
    """U(-bound, bound), drawn from (seed, "perturbation", l, step)."""

    feedback: Tensor | None = None

    def __init__(self, layer: Layer, classes: int, bound: float, seed: int) -> None:
        self._layer, self._bound, self._seed = layer, bound, seed

    def shares(self, error: Tensor) -> Tensor:
        raise NotImplementedError("noise has no feedback matrix")

    def __call__(self, step: int, error: Tensor) -> Tensor:
        source = generator(self._seed, "perturbation", self._layer.number, step, device=error.device)
        shape = len(error), self._layer.width
        return torch.empty(shape, device=error.device).uniform_(-self._bound, self._bound, generator=source)


PERTURBATIONS: dict[str, type[Perturbation]] = {
    "error": ProjectedError,
    "sign": ProjectedSign,
    "random": Noise,
}
