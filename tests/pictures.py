"""Images as files in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import pipepita as pp


def written(folder: Path, data: pp.Data, train: int, test: int) -> pp.Data:
    """Writes the first images of `data` as PNG files in the layout of `folder:DIR`, and returns the same in memory."""
    arrays = []
    for part, x, y, count in (("train", data.x_train, data.y_train, train), ("test", data.x_test, data.y_test, test)):
        images, labels = (x[:count] * 255).round().numpy().astype(np.uint8), y[:count].numpy()
        # by class, as files are sorted
        for place, index in enumerate(np.argsort(labels, kind="stable")):
            path = folder / part / f"class {labels[index]}" / f"{place:05d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image = images[index].transpose(1, 2, 0)
            Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(path)
        chosen = np.argsort(labels, kind="stable")
        arrays += [images[chosen], labels[chosen]]
    return pp.Data(*arrays, classes=data.classes)
