"""Reads samples from two map-style data sets, in this process or in a worker: seeds, converts and checks each item."""

from __future__ import annotations

import numbers
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipepita.data.agenda import Request
from pipepita.randomness import number


class Unreadable(Exception):
    """An item that is wrong, or could not be read. The message is one line that names it."""


@dataclass
class Reader:
    """Reads the samples of requests.

    Attributes:
        train, test: The data sets.
        name: What errors call them.
        item_shape, classes: What each item must be like; None or 0 where that is not known yet.
    """

    train: Any
    test: Any
    name: str
    item_shape: tuple[int, ...] | None = None
    classes: int = 0

    def read(self, request: Request) -> tuple[Tensor, list[int]]:
        """The items of a sample, (B, *item_shape) float32, and their labels.

        Raises:
            Unreadable: An item is wrong.
        """
        with _as_in_a_worker():
            items = [self._item(request, index) for index in request.indices]
        tensors = [x for x, _ in items]
        if all(x.dtype == torch.uint8 for x in tensors):  # together, which is quicker
            x = _floats(torch.stack(tensors))
        else:
            x = torch.stack([_floats(x) for x in tensors])
        finite = torch.isfinite(x.flatten(1)).all(1)
        if not finite.all():
            index = request.indices[int((~finite).nonzero()[0])]
            raise Unreadable(f"{self._place(request, index)} holds a NaN or an infinite value")
        if request.augment is not None:
            x = request.augment(x, request.seed, request.epoch, request.sample)
        return x, [y for _, y in items]

    def _item(self, request: Request, index: int) -> tuple[Tensor, int]:
        """x, which is not converted yet, and the label."""
        _seed(number(request.seed, "test item" if request.test else "item", request.epoch, index))
        try:
            item = (self.test if request.test else self.train)[index]
        except Exception as error:
            line = (str(error).strip().splitlines() or [""])[0]
            problem = f"cannot be read: {type(error).__name__}{line and f': {line}'}"
            raise Unreadable(f"{self._place(request, index)} {problem}") from None
        try:
            if not isinstance(item, tuple | list) or len(item) != 2:
                raise Unreadable(f"is {_kind(item)}: it must be a pair (x, label)")
            try:
                x = _tensor(item[0])
            except (TypeError, ValueError, RuntimeError) as error:
                raise Unreadable(f"has an x that cannot become a tensor: {str(error).splitlines()[0]}") from None
            y = _label(item[1])
            if self.item_shape is not None and x.shape != self.item_shape:
                raise Unreadable(f"has shape {tuple(x.shape)}: all items must have {self.item_shape}")
            if self.classes and not 0 <= y < self.classes:
                raise Unreadable(f"has label {y}: labels go from 0 to {self.classes - 1}")
        except Unreadable as error:
            raise Unreadable(f"{self._place(request, index)} {error}") from None
        return x, y

    def _place(self, request: Request, index: int) -> str:
        items, part = (self.test, "test") if request.test else (self.train, "train")
        more = f" ({items.name_of_item(index)})" if hasattr(items, "name_of_item") else ""
        return f"{self.name}: {part}[{index}]{more}"


def _tensor(x: object) -> Tensor:
    """As a tensor of floats, uint8 or booleans. Images become (channels, height, width)."""
    image = sys.modules.get("PIL.Image")
    is_image = image is not None and isinstance(x, image.Image)
    if is_image and x.mode not in ("1", "L", "RGB", "RGBA", "F"):  # type: ignore[attr-defined]
        raise Unreadable(f"is an image of mode {x.mode}: convert it to L or RGB")  # type: ignore[attr-defined]
    if isinstance(x, Tensor) and x.layout != torch.strided:
        x = x.to_dense()
    if not isinstance(x, Tensor):
        array = np.asarray(x)
        if array.dtype.kind not in "bfu":
            raise Unreadable(f"has an x that is {_kind(x)}: it must be floats, uint8 or booleans")
        # a copy, since torch takes neither foreign byte order nor what is read-only
        x = torch.from_numpy(array.astype(array.dtype.newbyteorder("=")))
    if is_image:
        x = x.permute(2, 0, 1) if x.ndim == 3 else x.unsqueeze(0)
    if not (x.is_floating_point() or x.dtype in (torch.uint8, torch.bool)):
        raise Unreadable(f"has an x of {x.dtype}: it must be floats, uint8 or booleans")
    if not 1 <= x.ndim <= 5 or not x.numel():
        raise Unreadable(f"has shape {tuple(x.shape)}: it must have 1 to 5 dimensions, and not be empty")
    return x.detach().cpu()


def _floats(x: Tensor) -> Tensor:
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x.to(torch.float32)


def _label(y: object) -> int:
    if isinstance(y, Tensor | np.ndarray) and y.ndim == 0:
        y = y.item()
    if not isinstance(y, numbers.Integral) or isinstance(y, bool):
        raise Unreadable(f"has label {' '.join(repr(y).split())[:60]}: it must be a whole number")
    return int(y)


def _kind(value: object) -> str:
    shape = f" of shape {tuple(value.shape)}" if hasattr(value, "shape") else ""
    return f"{type(value).__name__}{shape}"


def _seed(value: int) -> None:
    """Seeds the global generators, which the transforms of data sets draw from."""
    random.seed(value)
    np.random.seed(value % (1 << 32))
    torch.default_generator.manual_seed(value)


@contextmanager
def _as_in_a_worker() -> Iterator[None]:
    """One thread and autograd as usual, as in a worker, so that the bits are the same. All is put back afterwards."""
    threads, states = torch.get_num_threads(), (random.getstate(), np.random.get_state(), torch.get_rng_state())
    if threads != 1:
        torch.set_num_threads(1)
    try:
        with torch.inference_mode(False):
            yield
    finally:
        if threads != 1:
            torch.set_num_threads(threads)
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
