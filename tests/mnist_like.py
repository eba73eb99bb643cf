"""Writes the digits in the files of torchvision's MNIST, so that what needs MNIST can be tried without it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

import pipepita as pp


def write(folder: Path, data: pp.Data) -> Path:
    """Images of 8 x 8, enlarged three times, with a border to 28 x 28."""
    raw = folder / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part, x, y in (("train", data.x_train, data.y_train), ("t10k", data.x_test, data.y_test)):
        images = np.pad(np.kron(x[:, 0].numpy(), np.ones((1, 3, 3))), ((0, 0), (2, 2), (2, 2)))
        pixels = (255 * images).astype(np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4i", 2051, len(x), 28, 28) + pixels.tobytes())
        labels = y.numpy().astype(np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, len(y)) + labels.tobytes())
    return folder
