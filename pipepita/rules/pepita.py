"""PEPITA (Dellaferrera & Kreiman, ICML 2022): the error perturbs the input of a second forward pass.

    standard pass    h_0 = x,        h_l = f_l(W_l h_{l-1})
    error            e   = h_L - y
    modulated pass   m_0 = x + F e,  m_l = f_l(W_l m_{l-1})
    updates          l < L:  dW_l = (h_l - m_l) m_{l-1}^T        l = L:  dW_L = (m_L - y) m_{L-1}^T

With samples in flight, the weights change between a sample's two passes. The rule's *form* says which of them the
modulated pass uses: `pipepita.rules.forms` describes the four. At window 1 they agree.

With `modulate="all"` every layer has its own F_l, and its modulated pass starts from h_{l-1} + F_l e. Then no layer
waits for the one below, and all update at once. (The form `recompute` is the exception: it repeats the standard pass,
which runs up the layers.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pipepita.errors import UserError
from pipepita.rules import options
from pipepita.rules.defaults import Defaults
from pipepita.rules.rule import Reads, Rule
from pipepita.schedule import MODULATED, STANDARD, Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.conditions import Conditions
    from pipepita.rules.learner import Learner
    from pipepita.rules.projection import Perturbation

_MOST_MIRRORED = 100_000
_PAPERS_SCALE = 0.05

Form = Literal["difference", "textbook", "stash", "recompute"]
Modulate = Literal["auto", "input", "all"]


@dataclass(frozen=True)
class Pepita(Rule):
    """PEPITA: two forward passes, of which the projected error perturbs the second (Dellaferrera & Kreiman 2022).

    Args:
        form: Which weights the modulated pass uses while other samples are in flight: see `pipepita.rules.forms`.
        modulate: Where the error enters: at the "input" (the paper), or at "all" layers, each with its own F_l (its
            Discussion). "auto" is "input" for one hidden layer, and "all" for more, since deep networks do not learn
            with "input".
        presynaptic: What a hidden layer's update is made of: see `pipepita.rules.forms.hebbian`. "modulated" is the
            paper's (section 3).
        compare: Where a layer pools: whether the "activity" of both passes is compared, in front of the pooling (the
            published code), or what is "sent" to the next layer: see `pipepita.rules.forms.hebbian`.
        perturbation: What enters: the projected "error" F e (section 3), F times the "sign" of the error (Discussion),
            or "random" noise (Appendix D). See `pipepita.rules.projection`.
        f_scale: F ~ U(-b, b) with b = f_scale * sqrt(6 / fan_in), where fan_in is the width that F projects onto. With
            the perturbation "sign", b is a tenth of that. The paper has 0.05 (Appendix A). With 0 the error does not
            enter. "auto" is 0.05, or 0.1 if `modulate` is "auto" and all layers are modulated.
        feedback: Whether F_l is "fixed" (the paper), "learned" as `pipepita.rules.kolen_pollack` describes, or the
            "product" of the weights as in `pipepita.rules.product`. "auto" is "learned" if `modulate` is "auto" and all
            layers are modulated, and nothing else forbids it; else "fixed".
        feedback_rate: If it learns: its learning rate, as a multiple of the layer's.
        error: Whether the error is that of the output, "broadcast" to the layers (the paper), or a "local" one of each
            layer, from a read-out that learns: see `pipepita.rules.forms.local_error`. Then both passes of a layer
            follow each other, and no layer is ever locked. `form`, `perturbation` and `mirror` must keep their
            defaults, and `feedback` must be "auto" or "fixed". `feedback_rate` is that of the read-out.
        refresh: With "product": after how many samples it is taken anew; 0 means before each epoch. The pipeline
            drains for it, so with several samples in flight it helps to decide the bits, as snapshots do. A stream
            takes it once, at the start, and refuses any other number than 0. At most 100000.
        orthogonal: With "product": how many steps of Bjorck's iteration keep the weights orthogonal, each time, from 0
            to 100000.
        mirror: How many mini-batches of noise align every F_l with the weights before each epoch, from 0 to 100000: see
            `pipepita.rules.mirror`.

    Raises:
        UserError: A value is none of these, or has no meaning with that of another option.

    Example:
        >>> Pepita(modulate="all").flow
        <Flow.ALL: 'all'>
        >>> Pepita().reads("modulated", number=2, layers=3)
        Reads(upstream=True, downstream=False, signal=False)
        >>> deep = Pepita().settled(layers=5)
        >>> deep.modulate, deep.feedback, deep.f_scale, deep.defaults(layers=5).lr
        ('all', 'learned', 0.1, 0.05)
    """

    form: Form = "difference"
    modulate: Modulate = "auto"
    presynaptic: Literal["modulated", "standard", "own", "two-step"] = "modulated"
    compare: Literal["activity", "sent"] = "activity"
    perturbation: Literal["error", "sign", "random"] = "error"
    f_scale: float | Literal["auto"] = "auto"
    feedback: Literal["auto", "fixed", "learned", "product"] = "auto"
    feedback_rate: float = 1.0
    refresh: int = 0
    orthogonal: int = 0
    error: Literal["broadcast", "local"] = "broadcast"
    mirror: int = 0
    name: ClassVar[str] = "pepita"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.f_scale != "auto" and not 0 <= self.f_scale < float("inf"):
            raise UserError(f"f_scale {self.f_scale} is not a finite number of at least 0 (the paper: 0.05)")
        if not 0 <= self.mirror <= _MOST_MIRRORED:
            raise UserError(f"mirror {self.mirror} is not a number of mini-batches from 0 to {_MOST_MIRRORED}")
        options.check_rate(self, "feedback_rate")
        for option in ("refresh", "orthogonal"):
            if not 0 <= getattr(self, option) <= _MOST_MIRRORED:
                raise UserError(f"{option} {getattr(self, option)} is not a whole number from 0 to {_MOST_MIRRORED}")
            if getattr(self, option) and self.feedback != "product":
                raise UserError(f"{option} {getattr(self, option)} needs feedback product, not {self.feedback}")
        if self.feedback in ("learned", "product") and self._lacks_feedback:
            raise UserError(
                f"feedback {self.feedback}: there is no F that could change with perturbation random, f_scale 0 or "
                "mirror"
            )
        if self._unlocked:
            self._check_local()
        if self.compare == "sent" and self.presynaptic in ("own", "two-step"):
            raise UserError(f"compare sent needs presynaptic modulated or standard, not {self.presynaptic}")
        if self.mirror and (self.perturbation == "random" or self.f_scale == 0):
            raise UserError(f"mirror {self.mirror}: there is no F to align with perturbation random, or f_scale 0")

    def _check_local(self) -> None:
        """Refuses what an error of the layer's own has no use for."""
        wrong = {
            "modulate": self.modulate == "input", "form": self.form != "difference", "mirror": self.mirror,
            "presynaptic": self.presynaptic == "two-step", "perturbation": self.perturbation != "error",
            "feedback": self.feedback not in ("auto", "fixed"), "f_scale": self.f_scale == 0,
        }  # fmt: skip
        for option, is_wrong in wrong.items():
            if is_wrong:
                value = getattr(self, option)
                raise UserError(f"{option} {value} has no meaning with error local, where each layer has its own error")

    @property
    def passes(self) -> tuple[str, ...]:
        """A standard and a modulated pass; with error="local" the latter is part of the former."""
        return (STANDARD,) if self._unlocked else (STANDARD, MODULATED)

    @property
    def updates(self) -> tuple[str, ...]:
        """A layer updates itself after its last pass; with presynaptic="two-step", after both passes."""
        return self.passes if self.presynaptic == "two-step" else self.passes[-1:]

    @property
    def flow(self) -> Flow:
        """Up the layers, or to all layers at once if they need nothing but the error."""
        if self._unlocked:
            return Flow.NONE
        return Flow.UP if self._climbs else Flow.ALL

    @property
    def rows(self) -> int:
        """2 if a message of the modulated pass holds the clean activity beside the modulated one, else 1."""
        return 2 if self._chain and self._clean_travels else 1

    @property
    def aligns(self) -> bool:
        """Whether F is aligned with the weights from time to time: by mini-batches of noise, or by their product."""
        return self.mirror > 0 or self.feedback == "product"

    @property
    def align_every(self) -> int:
        """After how many samples; 0 for before each epoch."""
        return self.refresh

    def settled(self, layers: int) -> Self:
        """The paper's rule for one hidden layer; for more, the error enters at all layers and its projections learn."""
        chosen: Literal["input", "all"] = "all" if layers > 2 else "input"
        modulate = chosen if self.modulate == "auto" else self.modulate
        twice = self.modulate == "auto" and modulate == "all"
        scale = _PAPERS_SCALE * (2 if twice else 1) if self.f_scale == "auto" else self.f_scale
        learns = twice and not self._lacks_feedback and not self._unlocked
        chosen_feedback: Literal["learned", "fixed"] = "learned" if learns else "fixed"
        feedback = chosen_feedback if self.feedback == "auto" else self.feedback
        return replace(self, modulate=modulate, f_scale=scale, feedback=feedback)

    def defaults(self, layers: int) -> Defaults:
        """The paper's learning rate for one hidden layer; half of it, and a look-ahead, for deeper networks.

        The size of the projections is searched, too: it decides how much of the error enters.
        """
        searched = ("lr=log:1e-3..0.5", "rule.f_scale=log:0.02..0.5")
        return Defaults(lr=0.1 if layers <= 2 else 0.05, look_ahead=layers > 2, search=searched)

    def warning(self, conditions: Conditions) -> str | None:
        """Whether the form `textbook` will diverge with so many samples in flight."""
        if self.form != "textbook" or self._unlocked or conditions.window == 1:
            return None
        from pipepita.rules.stability import stability_index

        index = stability_index(
            conditions.layers[0].synapse.module, conditions.items(1024), conditions.lr, conditions.momentum,
            conditions.window,
        )  # fmt: skip
        if index <= 1:
            return None
        return (
            f"textbook form with {conditions.window} samples in flight: stability index {index:.3g} is above 1, so the "
            "run will probably diverge; use form difference, a lower lr, or a smaller window"
        )

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """The modulated pass runs up the layers from the error; with modulate="all" it begins at every layer."""
        if name == STANDARD:
            return Reads(upstream=True, signal=self._unlocked)
        return Reads(upstream=self._climbs and number > 1, signal=self._projects(number) or number == layers)

    @property
    def _lacks_feedback(self) -> bool:
        """Whether there is no F that could learn: none enters, or something else aligns it."""
        return self.perturbation == "random" or self.f_scale == 0 or self.mirror > 0

    @property
    def _unlocked(self) -> bool:
        """Whether each layer has an error of its own."""
        return self.error == "local"

    @property
    def _clean_travels(self) -> bool:
        """Whether the modulated pass also brings every layer the clean activity of the layer below."""
        return self.form == "recompute" and not self._unlocked

    @property
    def _chain(self) -> bool:
        """Whether the modulated activity runs from layer to layer."""
        return self.modulate != "all"

    @property
    def _climbs(self) -> bool:
        """Whether the modulated pass has messages from layer to layer."""
        return self._chain or self._clean_travels

    def _projects(self, number: int) -> bool:
        """Whether the error enters at layer `number`."""
        return number == 1 or not self._chain

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer and, if the error enters there, its matrix F_l, which is drawn from (seed, "feedback", l)."""
        from pipepita.rules.forms import FORMS, Hebbian, LocalError, Position
        from pipepita.rules.mirror import Mirror
        from pipepita.rules.product import WeightProduct

        if self._unlocked:
            drawn = None if layer.number == layers else self._drawn(layer, classes, seed).feedback
            return LocalError(layer, drawn, self.feedback_rate, Hebbian(self.presynaptic, self.compare))
        perturbation = None
        if self._projects(layer.number):
            perturbation = self._drawn(layer, classes, seed)
        position = Position(layer.number == 1, layer.number == layers, self._chain)
        learner = FORMS[self.form](layer, position, perturbation, Hebbian(self.presynaptic, self.compare))
        if self.feedback == "product":
            learner.mirror = WeightProduct(layer, self.orthogonal)
        elif self.mirror:
            learner.mirror = Mirror(layer, self.mirror, seed)
        if self.feedback == "learned":
            learner.let_feedback_learn(self.feedback_rate)
        return learner

    def _drawn(self, layer: Layer, classes: int, seed: int) -> Perturbation:
        from pipepita.rules.projection import PERTURBATIONS

        scale = _PAPERS_SCALE if self.f_scale == "auto" else self.f_scale
        return PERTURBATIONS[self.perturbation](layer, classes, scale * (6 / layer.width) ** 0.5, seed)
