"""Changes what a rule must not depend on: the clock and the global random generators."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

_SECONDS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
_CLOCKS = (*_SECONDS, *(f"{name}_ns" for name in _SECONDS))


@contextmanager
def clock(kind: type, change: Callable[[float], float]) -> Iterator[None]:
    """The clocks of `time` show `change` of their time, also those that the module of `kind` imported by name."""
    module = vars(sys.modules[kind.__module__])
    with ExitStack() as cleanup:
        for name in _CLOCKS:
            real: Callable[[], Any] = getattr(time, name)

            def changed(real: Callable[[], Any] = real) -> Any:
                now = real()
                return type(now)(change(now))

            mine = [key for key, value in module.items() if value is real]
            cleanup.enter_context(patch.object(time, name, changed))
            if mine:
                cleanup.enter_context(patch.dict(module, dict.fromkeys(mine, changed)))
        yield


def standing_still(now: float) -> float:
    """A `change` for `clock`: the time is always the same."""
    return 1e9


def far_ahead(now: float) -> float:
    """A `change` for `clock`: it shows another time and runs at another speed."""
    return 1.7 * now + 12345


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Seeds the global generators of torch, numpy and Python; afterwards they are as before."""
    states = torch.random.get_rng_state(), np.random.get_state(), random.getstate()
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
