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

from dataclasses import dataclass, field

from pipepita.errors import UserError, unknown
from pipepita.layers.layer import Layer
from pipepita.randomness import generator, uniform
from pipepita.rules.forms import FORMS, Place
from pipepita.rules.rule import Learner, Reads
from pipepita.schedule import MODULATED, STANDARD

MODULATES = ("input", "all")
PRESYNAPTICS = ("modulated", "standard")


@dataclass(frozen=True)
class Pepita:
    """The rule and its options.

    form: "difference", "textbook", "stash" or "recompute". modulate: "input" (the paper) or "all" (every layer gets
    its own F_l e). presynaptic: which pass's activity stands in the update, "modulated" (m_{l-1}, the paper's choice)
    or "standard". f_scale: F ~ U(-b, b) with b = f_scale * sqrt(6 / fan_in), fan_in the width that F projects onto
    (Appendix A). Raises `UserError` for a value that is none of these.
    """

    form: str = "difference"
    modulate: str = "input"
    presynaptic: str = "modulated"
    f_scale: float = 0.05
    name: str = field(default="pepita", init=False)
    passes: tuple[str, ...] = field(default=(STANDARD, MODULATED), init=False)

    def __post_init__(self) -> None:
        choices = {"form": tuple(FORMS), "modulate": MODULATES, "presynaptic": PRESYNAPTICS}
        for option, known in choices.items():
            if getattr(self, option) not in known:
                raise unknown(option, getattr(self, option), known)
        if not isinstance(self.f_scale, int | float) or not 0 <= self.f_scale < float("inf"):
            raise UserError(f"f_scale {self.f_scale} is not a finite number of at least 0 (the paper: 0.05)")

    @property
    def rows(self) -> int:
        """2 where the modulated pass brings the clean activity beside the modulated one, else 1."""
        return 2 if self._chain and FORMS[self.form].clean_travels else 1

    def reads(self, name: str, number: int, layers: int) -> Reads:
        """The modulated pass runs up the layers from the error, or with modulate="all" begins at every one."""
        if name == STANDARD:
            return Reads(upstream=True)
        climbs = self._chain or FORMS[self.form].clean_travels
        return Reads(upstream=climbs and number > 1, error=self._projects(number) or number == layers)

    @property
    def _chain(self) -> bool:
        return self.modulate == "input"

    def _projects(self, number: int) -> bool:
        return number == 1 or not self._chain

    def learner(self, layer: Layer, layers: int, classes: int, seed: int) -> Learner:
        """The layer with its feedback matrix F_l, drawn from (seed, "feedback", l), where it needs one."""
        feedback = None
        if self._projects(layer.number):
            bound = self.f_scale * (6 / layer.width) ** 0.5
            feedback = uniform((classes, layer.width), bound, generator(seed, "feedback", layer.number))
        place = Place(layer.number == 1, layer.number == layers, self._chain)
        return FORMS[self.form](layer, place, feedback, self.presynaptic == "standard")
