"""Images in folders: torchvision's order, the bits of the same images in memory, and what is wrong with a folder."""

from __future__ import annotations

import json
import re
import shutil

import pytest
import torch
from commandline import run
from loading import workers_of
from pictures import written
from PIL import Image

import pipepita as pp

TRAINING = {"engine": "local", "epochs": 2, "batch_size": 16, "standardize": True, "augment": "crop:1,flip"}


@pytest.fixture(scope="module")
def place(few_digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return folder, written(folder, few_digits, 150, 40)


def trained(data: pp.Data, **options: object) -> pp.Result:
    return pp.train(pp.build("fc:24x2", data.item_shape, 10, dropout=0.1), data, **TRAINING, **options)


def test_the_items_are_those_in_memory_in_the_order_of_torchvision(place):
    from torchvision.datasets import ImageFolder

    folder, memory = place
    data = pp.load(f"folder:{folder}")
    x, y = data.items.some(1000)
    assert torch.equal(x, memory.x_train) and torch.equal(y, memory.y_train)
    theirs = ImageFolder(folder / "train")
    images = data.items._reader.train
    assert [(str(images.name_of_item(i)), images[i][1]) for i in range(len(images))] == theirs.samples
    assert (data.item_shape, data.classes, data.name) == ((1, 8, 8), 10, f"folder:{folder}")


def test_a_run_has_the_bits_of_the_same_images_in_memory(place):
    folder, memory = place
    here, there = trained(memory), trained(pp.load(f"folder:{folder}"))
    assert here.weights_sha256 == there.weights_sha256
    assert here.history[-1]["test_loss"] == there.history[-1]["test_loss"]


@pytest.mark.slow
def test_real_images_read_by_workers(data_dir, tmp_path):
    """CIFAR-10's test set: read ahead, all bits are those of the images in memory."""
    from torchvision.datasets import CIFAR10

    part = CIFAR10(data_dir, train=False)
    images, labels = part.data[:500].transpose(0, 3, 1, 2), part.targets[:500]
    memory = written(tmp_path, pp.Data(images[:400], labels[:400], images[400:], labels[400:], 10), 400, 100)
    data = pp.load(f"folder:{tmp_path}")
    assert data.item_shape == (3, 32, 32)
    here, there = trained(memory), trained(data, loader_workers=2, snapshot_every=9)
    assert here.weights_sha256 == there.weights_sha256
    assert not workers_of()


def test_by_name_on_the_command_line_from_any_folder(place, tmp_path, monkeypatch):
    folder, _ = place
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(folder, tmp_path / "pictures")
    options = ("--dataset", "folder:pictures", "--network", "fc:8", "--engine", "local", "--epochs", 2, "--json")
    told = json.loads(run("train", *options, "--run-dir", "out", cwd=tmp_path).stdout)
    again = json.loads(run("evaluate", "../out", "--json", cwd=tmp_path / "elsewhere").stdout)
    assert again["test_accuracy"] == told["test_accuracy"]
    longer = json.loads(run("train", "--resume", "out", "--epochs", 3, "--json", cwd=tmp_path).stdout)
    whole = json.loads(run("train", *options, "--epochs", 3, "--run-dir", "whole", cwd=tmp_path).stdout)
    assert longer["weights_sha256"] == whole["weights_sha256"]


def damage(folder, kind: str) -> None:
    image = sorted((folder / "train" / "class 3").iterdir())[0]
    if kind == "no test":
        shutil.rmtree(folder / "test")
    elif kind == "one class":
        for label in range(1, 10):
            shutil.rmtree(folder / "train" / f"class {label}")
    elif kind == "empty class":
        shutil.rmtree(folder / "train" / "class 3")
        (folder / "train" / "class 3").mkdir()
    elif kind == "unknown class":
        (folder / "test" / "cat").mkdir()
    elif kind == "no images":
        for path in (folder / "test").rglob("*.png"):
            path.rename(path.with_suffix(".txt"))
    elif kind == "text":
        sorted((folder / "train" / "class 0").iterdir())[0].write_text("no image")
    elif kind == "truncated":
        image.write_bytes(image.read_bytes()[:60])
    elif kind == "size":
        Image.new("L", (9, 8)).save(image)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("no test", r"folder .* has no folder test: the layout is DIR/train/CLASS/\*.png and DIR/test/CLASS/\*.png"),
        ("one class", "/train has 1 folders: training needs one for each of at least 2 classes"),
        ("empty class", "/train/class 3 holds no images"),
        ("unknown class", "/test/cat: there is no such class in .*/train"),
        ("no images", "/test holds no images: the layout is"),
        ("text", "/train/class 0/00000.png is not a readable image: cannot identify image file"),
        ("truncated", r"train\[\d+\] \(.*/train/class 3/\d+.png\) cannot be read: OSError: it is not a readable image"),
        ("size", r"train\[\d+\] \(.*/class 3/\d+.png\) has shape \(1, 8, 9\): all items must have \(1, 8, 8\)"),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(place, tmp_path, kind, words):
    shutil.copytree(place[0], tmp_path / "copy")
    damage(tmp_path / "copy", kind)
    with pytest.raises(pp.PipepitaError) as found:
        trained(pp.load(f"folder:{tmp_path / 'copy'}"))
    assert re.search(words, str(found.value)) and "\n" not in str(found.value)


def test_a_class_may_have_no_test_images_and_grey_images_may_be_among_others(place, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(place[0], folder)
    shutil.rmtree(folder / "test" / "class 0")
    assert set(pp.load(f"folder:{folder}").items._reader.test._labels) == set(range(1, 10))
    for path in (folder / "train" / "class 0").iterdir():
        Image.open(path).convert("RGB").save(path)
    data = pp.load(f"folder:{folder}")
    assert data.item_shape == (3, 8, 8)
    x, _ = data.items.some(150)
    assert torch.equal(x[:, 0], place[1].x_train[:, 0]) and torch.equal(x[:, 1], x[:, 2])
