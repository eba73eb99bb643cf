"""The forms of PEPITA's modulated pass: which weights it uses while other samples are in flight.

Let W be today's weights, and W' those of the same sample's standard pass, window - 1 updates ago.

| form       | hidden layer's modulated pass | clean activity in the update | kept of a sample in flight |
|------------|-------------------------------|------------------------------|----------------------------|
| textbook   | m_l = f_l(W m_{l-1})          | h_l = f_l(W' h_{l-1})        | activities                 |
| difference | m_l = f_l(a_l + W D_{l-1})    | h_l = f_l(a_l)               | activities                 |
| stash      | m_l = f_l(W' m_{l-1})         | h_l = f_l(W' h_{l-1})        | activities and weights     |
| recompute  | m_l = f_l(W m_{l-1})          | h'_l = f_l(W h'_{l-1})       | the input                  |

*textbook* is the paper's equation as written. With samples in flight, h_l - m_l contains (W' - W) h_{l-1}, which is a
positive feedback. The other forms compare two activities of the same weights.

*difference* keeps a_l = W' h_{l-1} and sends on only D_l = m_l - h_l, with D_0 = F e. If the error enters at every
layer, D_{l-1} = F_l e. *stash* (PipeDream's weight stashing) copies the weights at each standard pass. *recompute*
repeats the standard pass with today's weights, next to the modulated pass, to get the clean activity h'_l.

In every form the output layer's modulated pass is a new forward pass: with W' in the form stash, with W in the others.
All four apply the update to W. At window 1, W' is W. Then stash and recompute equal textbook bit for bit, and
difference equals it up to rounding.

To add a form, write one file here, one entry in `FORMS`, and its name in `Pepita.form`.
"""

from __future__ import annotations

from pipepita.rules.forms.difference import Difference
from pipepita.rules.forms.hebbian import Hebbian
from pipepita.rules.forms.local_error import LocalError
from pipepita.rules.forms.recompute import Recompute
from pipepita.rules.forms.stash import Stash
from pipepita.rules.forms.textbook import Position, Textbook

FORMS: dict[str, type[Textbook]] = {
    "difference": Difference,
    "textbook": Textbook,
    "stash": Stash,
    "recompute": Recompute,
}

__all__ = ["FORMS", "Difference", "Hebbian", "LocalError", "Position", "Recompute", "Stash", "Textbook"]
