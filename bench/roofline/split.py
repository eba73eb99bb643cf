"""Where the time of a step goes, by torch's profiler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from torch.profiler import ProfilerActivity, profile, record_function

from pipepita.network.layer import Layer
from pipepita.pipeline.optimizers import MomentumSGD

PRODUCTS, ELEMENTWISE, OPTIMIZER, MASKS = "products", "elementwise", "optimizer", "random masks"
_PRODUCT_NAMES = ("mm", "addmm", "bmm", "convolution", "convolution_backward", "mkldnn_convolution")
_MASK_NAMES = ("bernoulli", "native_dropout")
_CALLS = 30


def split(step: Callable[[], object]) -> dict[str, float]:
    """Microseconds per call of each part that torch's operations take. What is missing to the whole is Python."""
    with _labelled():
        for _ in range(_CALLS // 3):
            step()
        with profile(activities=[ProfilerActivity.CPU]) as profiler:
            for _ in range(_CALLS):
                step()
    parts: dict[str, float] = defaultdict(float)
    for event in profiler.events() or []:
        if event.name.startswith("aten::"):
            parts[_part(event)] += event.self_cpu_time_total / _CALLS
    return {part: parts[part] for part in (PRODUCTS, ELEMENTWISE, OPTIMIZER, MASKS)}


def _part(event: Any) -> str:
    name = event.name.removeprefix("aten::").rstrip("_")
    if name in _PRODUCT_NAMES:
        return PRODUCTS
    if name in _MASK_NAMES:
        return MASKS
    above = event
    while (above := above.cpu_parent) is not None:
        if above.name in (OPTIMIZER, MASKS):
            return str(above.name)
        if above.name.startswith("Optimizer."):  # torch's own labels
            return OPTIMIZER
    return ELEMENTWISE


@contextmanager
def _labelled() -> Iterator[None]:
    """Optimizers and dropout masks of pipepita say in a profile what they are."""

    def labelled(kind: type, method: str, label: str) -> Any:
        original = getattr(kind, method)

        def call(*arguments: Any) -> Any:
            with record_function(label):
                return original(*arguments)

        return mock.patch.object(kind, method, call)

    with labelled(MomentumSGD, "step", OPTIMIZER), labelled(Layer, "masks", MASKS):
        yield
