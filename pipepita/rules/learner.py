"""What a rule makes of one layer: the protocol that a stage calls, with defaults for what few rules need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from pipepita.network.layer import Layer
    from pipepita.rules.head import Head


class Product(NamedTuple):
    """One update of a layer: dW = scale * post pre^T / B. For a convolution it is averaged over the positions, too.

    The optimizer subtracts it: with plain SGD, W <- W - lr dW.

    Attributes:
        post: (B, *shape before activation and pooling), float32: the postsynaptic factor.
        pre: (B, *in_shape), float32: the presynaptic factor, which is the layer's input.
        scale: The factor of the whole product.

    Example:
        >>> import torch
        >>> Product(post=torch.ones(8, 5), pre=torch.ones(8, 3), scale=-1.0).post.shape
        torch.Size([8, 5])
    """

    post: Tensor
    pre: Tensor
    scale: float


class Learner(Protocol):
    """One layer under one rule, and what it keeps of the samples in flight.

    Inherit from this class, or from `GradientLearner` if your rule only has to make a teaching signal. A stage calls
    `standard`, `second` and `product` for every sample, in the schedule's order and inside `torch.inference_mode`. With
    a window of K, up to K samples are between their two passes, so keep what you need by `step`, and forget it in
    `product`. Nothing may depend on a clock, a global random generator or another learner.

    Attributes:
        layer: The layer. The optimizer updates its weights in place; the learner never does.
        heads: Trainable maps beside the layer, like a read-out. Optimizers update them in place, too. None by default.

    Example:
        A hidden layer that learns from its own activity alone, by Oja's subspace rule. (At the output layer, `standard`
        and `evaluate` return `layer.answer` of the scores.)

        >>> import pipepita as pp
        >>> class Oja(pp.Learner):
        ...     def __init__(self, layer):
        ...         self.layer, self.kept = layer, {}
        ...     def standard(self, step, x, target=None):
        ...         layer, x = self.layer, self.layer.arrive(x)
        ...         masks = layer.masks(len(x), step)
        ...         h = layer.activity(layer.synapse.forward(x), masks)
        ...         self.kept[step] = pp.Product(post=h, pre=x - h @ layer.parameters[0], scale=-1.0)
        ...         return layer.outgoing(h, masks)
        ...     def second(self, step, arriving, error):
        ...         return None
        ...     def product(self, step):
        ...         return self.kept.pop(step)
        ...     def evaluate(self, x):
        ...         return self.layer.evaluate(x)
        >>> import torch
        >>> from pipepita.network.cut import cut
        >>> hidden = Oja(cut(pp.build("fc:5", (4,), 3), (4,), 3)[0])
        >>> hidden.standard(0, torch.rand(8, 4)).shape, hidden.product(0).pre.shape
        (torch.Size([8, 5]), torch.Size([8, 4]))
    """

    layer: Layer
    heads: Sequence[Head] = ()

    def standard(self, step: int, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Sample `step`'s first pass.

        Args:
            step: The sample's number, from 0.
            x: (B, *item_shape), float32: what the layer below sent; at the first layer, the items. The tensor may be
                overwritten after the sample's update.
            target: (B, classes), float32, one-hot (or the numbers to be predicted), if the rule's `reads` asks for the
                signal in this pass; else None.

        Returns:
            (B, *out_shape), float32: what the next layer gets. The output layer returns the network's answer,
            `layer.answer(scores)`, (B, classes).
        """

    def second(self, step: int, arriving: Tensor | None, error: Tensor | None) -> Tensor | None:
        """Sample `step`'s second pass.

        Args:
            step: The sample's number.
            arriving: What the layer below (flow up) or above (flow down) returned from its own second pass, float32, if
                the rule's `reads` asks for it; else None.
            error: (B, classes), float32: output minus target, if the rule's `reads` asks for the signal; else
                None.

        Returns:
            The message to the next layer in the direction of this pass, float32, with at most `Rule.rows` rows per
            item; None if there is none.
        """

    def product(self, step: int) -> Product | None:
        """The update of sample `step`, asked for after each pass that is in the rule's `updates`.

        Args:
            step: The sample's number.

        Returns:
            The update, or None if there is none this time.
        """

    def affine_products(self, step: int) -> Sequence[Product | None]:
        """The updates of the scales and shifts of normalisations, asked for after each `product`.

        By default there are none, so they stay as they are.

        Args:
            step: The sample's number.

        Returns:
            One for each of `layer.affines`: scale * post * pre is the gradient of the scale, and scale * post that of
            the shift, with (B, *shape after the normalisation) tensors.
        """
        return [None] * len(self.layer.affines)

    def head_products(self, step: int) -> Sequence[Product | None]:
        """The updates of the heads, asked for after each `product`.

        Args:
            step: The sample's number.

        Returns:
            One for each of `heads`: the update, or None if there is none this time.
        """
        return [None] * len(self.heads)

    def evaluate(self, x: Tensor) -> Tensor:
        """The standard pass without dropout, for an evaluation. Keeps nothing.

        Args:
            x: (B, *item_shape), float32.

        Returns:
            (B, *out_shape), float32. The output layer returns the network's answer, (B, classes).
        """

    def updated(self) -> None:
        """Called when the optimizers have changed the weights. Does nothing by default."""
        return

    def align(self, epoch: int, above: Tensor | None) -> Tensor | None:
        """Called before each epoch, from the output layer down, if the rule `aligns`. Does nothing by default.

        Args:
            epoch: The epoch that begins, from 1.
            above: What the layer above returned; None at the output layer.

        Returns:
            What the layer below gets as `above`.
        """
        return above

    def fixed(self) -> dict[str, Tensor]:
        """What the rule drew for this layer and never changes, by a name like "0.feedback". Empty by default."""
        return {}

    def memory(self) -> dict[str, Tensor]:
        """The tensors besides the weights that the learner needs to continue after a restart. Empty by default.

        It is called while no sample is in flight. Names begin with `layer.name` and a dot. A snapshot holds these
        tensors next to the weights.
        """
        return {}

    def remember(self, memory: dict[str, Tensor]) -> None:
        """Continues from what `memory` returned. Copy the tensors: they do not belong to the learner."""
        return
