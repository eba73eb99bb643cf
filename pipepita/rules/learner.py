"""What a rule makes of one layer: the contract with the stage that holds it, and defaults for what few rules need."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from pipepita.network.layer import Layer


class Product(NamedTuple):
    """What an update is made of: dW = scale * post pre^T / B, for a convolution averaged over the positions too.

    Attributes:
        post: (B, *shape before activation and pooling), float32: what the update says at the layer's output.
        pre: (B, *in_shape), float32: the layer's input.
        scale: A factor of the whole.
    """

    post: Tensor
    pre: Tensor
    scale: float


class Learner(Protocol):
    """One layer under one rule, with what it keeps of the samples in flight.

    Inherit from this class, or from `GradientLearner` if a teaching signal is all that the rule adds. A stage calls
    `standard`, `second` and `product` for every sample, in the schedule's order and inside `torch.inference_mode`; with
    a window of K up to K samples are in flight between the two passes, so keep what you need by `step` and forget it in
    `product`. Nothing may depend on a clock, a global generator or another learner.

    Attributes:
        layer: The layer. Its weights are updated in place by the optimizer, never by the learner.
    """

    layer: Layer

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Sample `step`'s first pass.

        Args:
            step: The sample's number, from 0.
            x: (B, *item_shape), float32: what the layer below sent, or the items. Valid until the update.
            target: (B, classes), float32, one-hot, if the rule's `reads` asks for the signal in this pass.

        Returns:
            (B, *out_shape): what the next layer gets. The output layer returns its softmax, (B, classes).
        """

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        """Sample `step`'s second pass, from what the rule's `reads` asks for.

        Args:
            step: The sample's number.
            arriving: What the layer below (flow up) or above (flow down) returned from its own second pass.
            error: (B, classes), float32: output minus one-hot target.

        Returns:
            What goes to the next layer in this pass's direction, at most `rows` rows for each item; None for nothing.
        """

    def product(self, step: int) -> Product | None:
        """What to update with, once a pass has run that the rule `updates` after; None: no update this time."""

    def evaluate(self, x: Tensor) -> Tensor:
        """`standard` without dropout, for an evaluation: (B, *item_shape) to (B, *out_shape). Keeps nothing."""

    def updated(self) -> None:
        """The optimizer has changed the weights. By default nothing happens."""
        return

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """Before each epoch (from 1), from the output layer down, if the rule `aligns`; by default nothing happens.

        Args:
            epoch: Which one begins.
            above: What the layer above returned; None at the output layer.

        Returns:
            What the layer below is told.
        """
        return above

    def fixed(self) -> dict[str, Tensor]:
        """What the rule drew for this layer and never changes, by name: "<layer.name>.feedback". By default nothing."""
        return {}

    def memory(self) -> dict[str, Tensor]:
        """What a drained layer would miss if it were built anew and given only its weights; by default nothing.

        Names begin with `layer.name` and a dot. A snapshot keeps these tensors next to the weights.
        """
        return {}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Takes back what `memory` gave. Copies it: the tensors are not the learner's own."""
        return
