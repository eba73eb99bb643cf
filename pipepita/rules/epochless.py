"""What may learn from a stream, which has no epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipepita.errors import UserError

if TYPE_CHECKING:
    from pipepita.rules.rule import Rule


def check_epochless(rule: Rule) -> None:
    """`UserError` if `rule` aligns its feedback again and again. What does so before each epoch, does it once here.

    Example:
        >>> import pipepita as pp
        >>> check_epochless(pp.Pepita(feedback="product"))
    """
    if rule.align_every:
        raise UserError(
            f"align_every {rule.align_every}: in a stream feedback is aligned once, at the start; train does it again"
        )
