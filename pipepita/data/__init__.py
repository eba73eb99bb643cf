"""Data sets as tensors. A new data set is one function that loads it, and one entry in `data.sets.SETS`."""

from __future__ import annotations

from pipepita.data.dataset import Data
from pipepita.data.sets import load

__all__ = ["Data", "load"]
