"""Sums of parts that explain what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

_ROUNDS = 20
_CLOSE = 1e-3  # smaller errors are equal


def explained(
    rows: Sequence[Sequence[float]], values: Sequence[float], whole: Sequence[float] | None = None
) -> list[float]:
    """The factors of the columns, none negative, with which each row comes nearest to its value.

    Least absolute deviations, so that a few values that are far off do not draw the others with them: least squares
    again and again, in which a row counts the less, the farther off it was.

    Args:
        rows: What each value may consist of.
        values: What was measured.
        whole: Errors count as a share of these; by default of the values.

    Example:
        >>> [round(factor, 1) for factor in explained([[1, 1], [1, 2], [1, 3], [1, 4]], [5, 7, 9, 99])]
        [3.0, 2.0]
    """
    scale = 1 / np.asarray(values if whole is None else whole, dtype=float)
    table, wanted = np.asarray(rows, dtype=float) * scale[:, None], np.asarray(values, dtype=float) * scale
    sizes = np.maximum(np.abs(table).max(axis=0), 1e-300)  # the solver likes columns of like size
    counts = np.ones(len(table))
    for _ in range(_ROUNDS):
        found, _ = nnls(table / sizes * counts[:, None], wanted * counts)
        counts = 1 / np.sqrt(np.maximum(np.abs(table / sizes @ found - wanted), _CLOSE))
    return [float(factor) for factor in found / sizes]
