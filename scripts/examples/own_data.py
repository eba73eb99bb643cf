"""Data of your own: arrays in memory, and a data set of torch that is read as it is needed, with the same results.

python scripts/examples/own_data.py
"""

import numpy as np
import torch
from torch.utils.data import Dataset

import pipepita as pp


def waves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Noisy waves of 32 numbers, each of its own height, and their shape: a sine, a square or a saw tooth."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 3, count)
    turns = np.linspace(0, 2, 32, endpoint=False)[None] + source.uniform(0, 0.2, (count, 1))
    sine = np.sin(2 * np.pi * turns)
    shapes = np.stack([sine, np.sign(sine), 2 * (turns % 1) - 1])
    waves = shapes[labels, np.arange(count)] * source.uniform(0.5, 1.5, (count, 1)) + source.normal(0, 0.2, (count, 32))
    return waves.astype(np.float32), labels


class Waves(Dataset[tuple[torch.Tensor, int]]):
    """The same waves as any map-style data set: a length, and items by their number."""

    def __init__(self, count: int, seed: int) -> None:
        self.x, self.y = waves(count, seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.x[index]), int(self.y[index])


def main() -> None:
    in_memory = pp.Data(*waves(2000, 0), *waves(500, 1), classes=3)
    as_needed = pp.Data.of(Waves(2000, 0), Waves(500, 1), classes=3)
    for data in (in_memory, as_needed):
        model = pp.build("fc:64x2", data.item_shape, data.classes)
        result = pp.train(model, data, standardize=True, batch_size=32, epochs=10, engine="local")
        print(f"{result.test_accuracy:.1f} %, weights {result.weights_sha256[:12]}")  # the same twice


if __name__ == "__main__":
    main()
