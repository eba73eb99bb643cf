"""PEPITA (Dellaferrera & Kreiman, ICML 2022): present the input to perturb, instead of propagating, the error.

    standard pass    h_0 = x,        h_l = f_l(W_l h_{l-1})
    error            e   = h_L - y
    modulated pass   m_0 = x + F e,  m_l = f_l(W_l m_{l-1})
    updates          l < L:  dW_l = (h_l - m_l) m_{l-1}^T        l = L:  dW_L = (m_L - y) m_{L-1}^T

With samples in flight the weights move between a sample's two passes. Which of them the modulated pass meets is the
rule's *form*: `pipepita.rules.forms` has the four. At window 1 they agree.

With `modulate="all"` every layer has its own F_l and starts from h_{l-1} + F_l e: no chain, all layers update at once
(but for the form `recompute`, whose clean pass still runs up the layers).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pipepita.errors import UserError
from pipepita.rules.defaults import Defaults
from pipepita.rules.rule import Reads, Rule
from pipepita.schedule import MODULATED, STANDARD, Flow

if TYPE_CHECKING:
    from pipepita.network.layer import Layer
    from pipepita.rules.learner import Learner

_MOST_MIRRORED = 100_000
_PAPERS_SCALE = 0.05


@dataclass(frozen=True)
class Pepita(Rule):
    """Two forward passes: the second one's input is perturbed by the projected error.

    Args:
        form: Which weights the modulated pass meets while other samples are in flight, see `forms`.
        modulate: Where the error enters: at the "input" (the paper), or at "all" layers, each with its own F_l. "auto"
            is "input" for one hidden layer and "all" from the second on, without which depth fails.
        presynaptic: What a hidden layer's update is made of; "modulated" is the paper's, see `forms.hebbian`.
        perturbation: What enters: the projected "error" F e (the paper), F times its "sign", or "random" noise, see
            `projection`.
        f_scale: F ~ U(-b, b) with b = f_scale * sqrt(6 / fan_in), fan_in being the width that F projects onto (the
            paper, Appendix A: 0.05). 0 switches the error off. "auto" is the paper's, and twice that where "auto" has
            chosen to modulate all layers.
        mirror: This many mini-batches of noise before each epoch align every F_l with the weights, see `mirror`.

    Raises:
        UserError: A value is none of these.

    Example:
        >>> Pepita(modulate="all").flow
        <Flow.ALL: 'all'>
        >>> Pepita().reads("modulated", number=2, layers=3)
        Reads(upstream=True, downstream=False, signal=False)
        >>> deep = Pepita().settled(layers=5)
        >>> deep.modulate, deep.f_scale, deep.defaults(layers=5).lr
        ('all', 0.1, 0.05)
    """

    form: Literal["difference", "textbook", "stash", "recompute"] = "difference"
    modulate: Literal["auto", "input", "all"] = "auto"
    presynaptic: Literal["modulated", "standard", "own", "two-step"] = "modulated"
    perturbation: Literal["error", "sign", "random"] = "error"
    f_scale: float | Literal["auto"] = "auto"
    mirror: int = 0
    name: ClassVar[str] = "pepita"
    passes: ClassVar[tuple[str, ...]] = (STANDARD, MODULATED)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.f_scale != "auto" and not 0 <= self.f_scale < float("inf"):
            raise UserError(f"f_scale {self.f_scale} is not a finite number of at least 0 (the paper: 0.05)")
        if not 0 <= self.mirror <= _MOST_MIRRORED:
            raise UserError(f"mirror {self.mirror} is not a number of mini-batches from 0 to {_MOST_MIRRORED}")
        if self.mirror and (self.perturbation == "random" or self.f_scale == 0):
            raise UserError(f"mirror {self.mirror}: there is no F to align with perturbation random, or f_scale 0")

    @property
    def updates(self) -> tuple[str, ...]:
        """After the modulated pass; the two-step form after both."""
        return self.passes if self.presynaptic == "two-step" else (MODULATED,)

    @property
    def flow(self) -> Flow:
        """Up the layers, or to all at once where nothing but the error travels."""
        return Flow.UP if self._climbs else Flow.ALL

    @property
    def rows(self) -> int:
        """2 where the modulated pass brings the clean activity beside the modulated one, else 1."""
        return 2 if self._chain and self._clean_travels else 1

    @property
    def aligns(self) -> bool:
        """Whether it mirrors."""
        return self.mirror > 0

    def settled(self, layers: int) -> Self:
        """The paper's own rule for one hidden layer; with the error at all layers from the second on."""
        chosen: Literal["input", "all"] = "all" if layers > 2 else "input"
        modulate = chosen if self.modulate == "auto" else self.modulate
        twice = self.modulate == "auto" and modulate == "all"
        scale = _PAPERS_SCALE * (2 if twice else 1) if self.f_scale == "auto" else self.f_scale
        return replace(self, modulate=modulate, f_scale=scale)

    def defaults(self, layers: int) -> Defaults:
        """The paper's learning rate for one hidden layer; deeper networks, normalised, want a lower one."""
        return Defaults(lr=0.1 if layers <= 2 else 0.05)

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """The modulated pass runs up the layers from the error, or with modulate="all" begins at every one."""
        if name == STANDARD:
            return Reads(upstream=True)
        return Reads(upstream=self._climbs and number > 1, signal=self._projects(number) or number == layers)

    @property
    def _clean_travels(self) -> bool:
        """Whether the modulated pass brings every layer the clean activity of the one below, too."""
        return self.form == "recompute"

    @property
    def _chain(self) -> bool:
        return self.modulate != "all"

    @property
    def _climbs(self) -> bool:
        return self._chain or self._clean_travels

    def _projects(self, number: int) -> bool:
        return number == 1 or not self._chain

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its feedback matrix F_l, drawn from (seed, "feedback", l), where it needs one."""
        from pipepita.rules.forms import FORMS, Hebbian, Place
        from pipepita.rules.mirror import Mirror
        from pipepita.rules.projection import PERTURBATIONS

        perturbation = None
        if self._projects(layer.number):
            scale = _PAPERS_SCALE if self.f_scale == "auto" else self.f_scale
            bound = scale * (6 / layer.width) ** 0.5
            perturbation = PERTURBATIONS[self.perturbation](layer, classes, bound, seed)
        place = Place(layer.number == 1, layer.number == layers, self._chain)
        learner = FORMS[self.form](layer, place, perturbation, Hebbian(self.presynaptic))
        learner.mirror = Mirror(layer, self.mirror, seed) if self.mirror else None
        return learner
