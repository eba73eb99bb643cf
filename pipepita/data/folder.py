"""Images in folders, one folder per class, in the layout of torchvision's ImageFolder. They are read one by one.

DIR/train/cat/1.png      the classes are the folders of DIR/train, sorted by name
DIR/train/dog/2.png
DIR/test/cat/3.png       a class may have no test images
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from torch.utils.data import Dataset

from pipepita.data.dataset import Data
from pipepita.errors import UserError

# what torchvision takes for images
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def folder(path: Path) -> Data:
    """The images below `path`/train and `path`/test, as float32 in [0, 1], (channels, height, width).

    There are three channels; one, if the first training image is grey.

    Raises:
        UserError: A folder is missing or holds no image, there are fewer than 2 classes, a class of the test images has
            no training images, or the first images cannot be read.
    """
    path, parts = path.absolute(), {}
    layout = "the layout is DIR/train/CLASS/*.png and DIR/test/CLASS/*.png"
    for part in ("train", "test"):
        if not (path / part).is_dir():
            raise UserError(f"folder {path} has no folder {part}: {layout}")
    classes = _folders(path / "train")
    if len(classes) < 2:
        raise UserError(f"{path}/train has {len(classes)} folders: training needs one for each of at least 2 classes")
    for part in ("train", "test"):
        unknown = sorted(set(_folders(path / part)) - set(classes))
        if unknown:
            raise UserError(f"{path}/{part}/{unknown[0]}: there is no such class in {path}/train")
        files = [(name, label) for label, one in enumerate(classes) for name in _images(path / part, one)]
        if part == "train" and len({label for _, label in files}) < len(classes):
            empty = sorted(set(range(len(classes))) - {label for _, label in files})
            raise UserError(f"{path}/train/{classes[empty[0]]} holds no images")
        if not files:
            raise UserError(f"{path}/{part} holds no images: {layout}")
        parts[part] = Images(path / part, files)
    parts["train"].mode = parts["test"].mode = parts["train"].own_mode()
    return Data.of(parts["train"], parts["test"], classes=len(classes), name=f"folder:{path}")


class Images(Dataset[tuple[object, int]]):
    """A map-style data set of image files. files: their names below `path`, and their labels.

    mode: "L" or "RGB", as which all of them are read.
    """

    def __init__(self, path: Path, files: list[tuple[str, int]]) -> None:
        self._path, self.mode = path, "RGB"
        # arrays: a list of a million names and labels would take several times as much memory, in every worker
        self._names = np.array([os.fsencode(name) for name, _ in files])
        self._labels = np.array([label for _, label in files])

    def own_mode(self) -> str:
        """The mode of the first image."""
        from PIL import Image

        try:
            with Image.open(self.name_of_item(0)) as image:
                return "L" if image.mode in ("1", "L") else "RGB"
        except Exception as error:  # Pillow raises many kinds
            raise UserError(f"{self.name_of_item(0)} is not a readable image: {error}") from None

    def name_of_item(self, index: int) -> Path:
        """Where an image is, for errors."""
        return self._path / os.fsdecode(self._names[index])

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, index: int) -> tuple[object, int]:
        from PIL import Image

        try:
            with Image.open(self.name_of_item(index)) as image:
                return image.convert(self.mode), int(self._labels[index])
        except (OSError, SyntaxError, ValueError) as error:  # which Pillow raises for a file that is damaged
            raise OSError(f"it is not a readable image ({error})") from None


def _folders(path: Path) -> list[str]:
    with os.scandir(path) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir())


def _images(path: Path, one: str) -> Iterator[str]:
    """The names below `path` of the images in its folder `one`, also in folders of that, sorted as torchvision does."""
    for root, _, names in sorted(os.walk(path / one, followlinks=True)):
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield str(Path(root, name).relative_to(path))
