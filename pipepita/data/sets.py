"""The data sets that have a name."""

from __future__ import annotations

import os
import pickle
import zipfile
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from pipepita.data.dataset import Data
from pipepita.errors import RunError, UserError, unknown
from pipepita.extras import need
from pipepita.randomness import generator

DATA_DIR_VARIABLE = "PIPEPITA_DATA"
_DIGITS = "datasets/data/digits.csv.gz"  # in scikit-learn's folder


def load(name: str, *, data_dir: str | Path | None = None, download: bool = False) -> Data:
    """Loads a data set by its name.

    Args:
        name: "digits" (part of scikit-learn), "mnist", "fashion-mnist", "cifar10", "cifar100" (files of torchvision),
            "npz:FILE" (a NumPy file with x_train, y_train, x_test and y_test), "folder:DIR" (images, which are read as
            they are needed: DIR/train/CLASS/*.png and DIR/test/CLASS/*.png), or "random:SHAPE" (noise, for measuring
            speed; "random:784" or "random:3x32x32").
        data_dir: The folder that holds torchvision's folders; by default $PIPEPITA_DATA if it is set, else ./data. A
            data set that torchvision does not find there is read from NAME.npz, if that is there.
        download: Whether to download a data set of torchvision that is not there.

    Returns:
        The items as float32 in [0, 1], images of shape (channels, height, width), and their labels as int64. Those of
        "npz:FILE" are kept as `Data` says, which takes numbers for labels, too.

    Raises:
        UserError: The name is unknown, a file is missing or damaged, or "digits" lacks scikit-learn.
        RunError: The download failed.

    Example:
        >>> import pipepita as pp
        >>> data = pp.load("digits")
        >>> data.item_shape, data.classes, len(data.x_train), len(data.x_test)
        ((1, 8, 8), 10, 1442, 355)
    """
    if not isinstance(name, str):
        raise UserError(f"a data set is named by a string, not {name!r}")
    kind, _, rest = name.partition(":")
    if kind == "npz" and rest:
        return _npz(Path(rest))
    if kind == "random" and rest:
        return _random(name, rest)
    if kind == "folder" and rest:
        from pipepita.data.folder import folder

        return folder(Path(rest))
    if name not in SETS:
        raise unknown("dataset", name, [*SETS, "npz:FILE", "folder:DIR", "random:SHAPE"])
    place = Path(data_dir if data_dir is not None else os.environ.get(DATA_DIR_VARIABLE) or "data")
    try:
        place = place.expanduser()
    except RuntimeError as error:
        raise UserError(f"data folder {place}: {error}") from None
    try:
        return SETS[name](name, place, download)
    except _Absent:
        file = place / f"{name}.npz"
        if not file.is_file():
            raise
        return _npz(file, name)


def is_named(name: object) -> bool:
    """Whether `load` takes the name: of a data set, or of a kind like "npz:FILE"."""
    return isinstance(name, str) and (name in SETS or name.partition(":")[0] in ("npz", "random", "folder"))


class _Absent(UserError):
    """A data set is not in the folder."""


def _digits(name: str, folder: Path, download: bool) -> Data:
    """The 1,797 images of 8 x 8 that scikit-learn has. Every fifth of each class, in their order, is a test item.

    Its file is read as it is, because to import scikit-learn takes longer than to train on them.
    """
    need("the data set digits", "sklearn")
    package = find_spec("sklearn")
    assert package is not None and package.origin is not None
    file = Path(package.origin).parent / _DIGITS
    if file.exists():
        table = np.loadtxt(file, delimiter=",")
        x, y = table[:, :-1], table[:, -1].astype(int)
    else:
        from sklearn.datasets import load_digits

        x, y = load_digits(return_X_y=True)
    place = np.empty(len(y), dtype=int)
    for label in range(10):
        place[y == label] = np.arange((y == label).sum())
    test = place % 5 == 4
    images = (x / 16).astype(np.float32).reshape(-1, 1, 8, 8)
    return Data(images[~test], y[~test], images[test], y[test], 10, name)


def _torchvision(kind: str, classes: int) -> Callable[[str, Path, bool], Data]:
    def read(name: str, folder: Path, download: bool) -> Data:
        import torchvision.datasets

        known = getattr(torchvision.datasets, kind)
        if not download and not (folder / getattr(known, "base_folder", kind)).exists():
            raise _Absent(f"{name} is not in {folder}: name its folder with --data-dir, or allow --download")
        x, y = {}, {}
        for train in (True, False):
            try:
                part = known(folder, train=train, download=download)
            except (OSError, RuntimeError, ValueError, AssertionError, EOFError, pickle.UnpicklingError) as error:
                raise _explain(name, folder, download, error) from None
            images = torch.as_tensor(part.data)
            x[train] = (images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)).contiguous()
            y[train] = torch.as_tensor(part.targets)
        return Data(x[True], y[True], x[False], y[False], classes, name)

    return read


def _explain(name: str, folder: Path, download: bool, error: Exception) -> UserError | RunError:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if download:
        return RunError(f"{name} could not be downloaded to {folder}: {reason}")
    return UserError(f"{name} in {folder} is missing, damaged or truncated ({reason}): name its folder with --data-dir")


# What NumPy and zipfile raise if a file is not what its name says
_DAMAGED = (
    *(OSError, ValueError, TypeError, AttributeError, EOFError, MemoryError, RuntimeError, NotImplementedError),
    *(zipfile.BadZipFile, zlib.error),
)


def _npz(path: Path, name: str | None = None) -> Data:
    """The items of a NumPy file. name: of the data set that it holds; else the file's own."""
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            missing = [key for key in keys if key not in arrays]
            if missing:
                raise UserError(f"{path} lacks {', '.join(missing)}: it must hold {', '.join(keys)}")
            file = path.absolute()
            data = Data(**{key: arrays[key] for key in keys}, name=name or f"npz:{file}")
            data.file = file
            return data
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except _DAMAGED as error:
        raise UserError(
            f"{path} is not a readable .npz file: {(str(error) or type(error).__name__).splitlines()[0]}"
        ) from None


def _random(name: str, shape: str) -> Data:
    """Noise in 10 classes, for measuring speed: `random:784`, `random:3x32x32`. Nothing can be learnt from it."""
    try:
        sizes = [int(size) for size in shape.split("x")]
        if min(sizes) < 1 or np.prod(sizes, dtype=float) > _MOST_RANDOM or len(sizes) > 5:
            raise ValueError
    except ValueError:
        raise UserError(
            f"dataset {name!r}: write the shape of an item like random:784 or random:3x32x32, "
            f"with at most {_MOST_RANDOM} numbers in all"
        ) from None
    items = max(64, min(2048, (1 << 24) // int(np.prod(sizes))))
    source = generator(0, "random data")
    x, y = torch.rand(items, *sizes, generator=source), torch.randint(10, (items,), generator=source)
    return Data(x, y, x[:64], y[:64], 10, name)


_MOST_RANDOM = 1 << 20

SETS: dict[str, Callable[[str, Path, bool], Data]] = {
    "digits": _digits,
    "mnist": _torchvision("MNIST", 10),
    "fashion-mnist": _torchvision("FashionMNIST", 10),
    "cifar10": _torchvision("CIFAR10", 10),
    "cifar100": _torchvision("CIFAR100", 100),
}
