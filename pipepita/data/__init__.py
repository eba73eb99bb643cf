"""Data sets: tensors in memory, or data sets of torch, which are read as they are needed.

A new data set is one function that loads it, and one entry in `data.sets.SETS`.
"""

from __future__ import annotations

from pipepita.data.dataset import Data
from pipepita.data.sets import load

__all__ = ["Data", "load"]
