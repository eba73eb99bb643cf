"""Data of your own: arrays in memory, and a data set of torch that is read as it is needed, with the same results.

python scripts/examples/own_data.py
"""

import numpy as np
import torch
from torch.utils.data import Dataset

import pipepita as pp


def moons(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that interlock: points, and which of the two each belongs to."""
    source = np.random.default_rng(seed)
    labels = source.integers(0, 2, count)
    angle = source.uniform(0, np.pi, count)
    points = np.stack([np.cos(angle), np.sin(angle)], 1) * np.where(labels, -1, 1)[:, None]
    points += np.where(labels[:, None], [1.0, 0.5], [0.0, 0.0]) + source.normal(0, 0.1, points.shape)
    return points.astype(np.float32), labels


class Moons(Dataset):
    """The same points as any map-style data set: a length, and items by their number."""

    def __init__(self, count: int, seed: int) -> None:
        self.x, self.y = moons(count, seed)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(self.x[index]), int(self.y[index])


def main() -> None:
    in_memory = pp.Data(*moons(2000, 0), *moons(500, 1), classes=2)
    as_needed = pp.Data.of(Moons(2000, 0), Moons(500, 1), classes=2)
    for data in (in_memory, as_needed):
        model = pp.build("fc:64x2", data.item_shape, data.classes)
        result = pp.train(model, data, standardize=True, batch_size=32, epochs=10, engine="local")
        print(f"{result.test_accuracy:.1f} %, weights {result.weights_sha256[:12]}")  # the same twice


if __name__ == "__main__":
    main()
