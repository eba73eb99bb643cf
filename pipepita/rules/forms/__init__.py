"""The forms of PEPITA's modulated pass: which weights it meets while other samples are in flight.

Let W be today's weights, W' those that the same sample's standard pass saw, window - 1 updates ago.

| form       | hidden layer's modulated pass | clean activity in the update | kept of a sample in flight |
|------------|-------------------------------|------------------------------|----------------------------|
| textbook   | m_l = f_l(W m_{l-1})          | h_l = f_l(W' h_{l-1})        | activities                 |
| difference | m_l = f_l(a_l + W D_{l-1})    | h_l = f_l(a_l)               | activities                 |
| stash      | m_l = f_l(W' m_{l-1})         | h_l = f_l(W' h_{l-1})        | activities and weights     |
| recompute  | m_l = f_l(W m_{l-1})          | h'_l = f_l(W h'_{l-1})       | the input                  |

*textbook* is the paper's equation as written; in flight, h_l - m_l holds (W' - W) h_{l-1}, which feeds back. The others
compare two activities of the same weights. *difference* keeps a_l = W' h_{l-1} and sends only D_l = m_l - h_l on, with
D_0 = F e (D_{l-1} = F_l e where every layer projects). *stash* (PipeDream's weight stashing) copies the weights at each
standard pass. *recompute* runs the clean pass again, next to the modulated one.

The output layer's modulated pass is a fresh forward in every form, with W, or W' where they are stashed. All four apply
the update to W. At window 1, W' is W: stash and recompute are textbook bit for bit, difference up to rounding.

A new form is one file here, one entry in `FORMS`, and its name in `Pepita.form`.
"""

from __future__ import annotations

from pipepita.rules.forms.difference import Difference
from pipepita.rules.forms.hebbian import Hebbian
from pipepita.rules.forms.recompute import Recompute
from pipepita.rules.forms.stash import Stash
from pipepita.rules.forms.textbook import Place, Textbook

FORMS: dict[str, type[Textbook]] = {
    "difference": Difference,
    "textbook": Textbook,
    "stash": Stash,
    "recompute": Recompute,
}

__all__ = ["FORMS", "Difference", "Hebbian", "Place", "Recompute", "Stash", "Textbook"]
