"""Random changes of images: by their definition, from what they are drawn, and that runs repeat with them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

import pipepita as pp
from pipepita.data.augment import parse
from pipepita.pipeline.source import shuffled


def shifts(image: torch.Tensor, by: int) -> list[torch.Tensor]:
    """All images that padding (C, H, W) with `by` zeros and cropping it can give."""
    padded = functional.pad(image, (by,) * 4)
    places = [(row, column) for row in range(2 * by + 1) for column in range(2 * by + 1)]
    return [padded[:, r : r + image.shape[1], c : c + image.shape[2]] for r, c in places]


def test_a_crop_is_a_window_of_the_padded_image_and_every_window_occurs():
    x = torch.rand(500, 2, 5, 6)
    changed = parse("crop:1")(x, seed=0, epoch=1, sample=0)
    found = [
        [place for place, window in enumerate(shifts(image, 1)) if torch.equal(window, new)]
        for image, new in zip(x, changed, strict=True)
    ]
    assert all(len(places) == 1 for places in found)
    counts = torch.bincount(torch.tensor(found).flatten(), minlength=9)
    assert counts.min() > 500 / 9 / 2 and counts.max() < 500 / 9 * 2


def test_a_flip_mirrors_about_half_of_the_images():
    x = torch.rand(500, 2, 5, 6)
    changed = parse("flip")(x, seed=0, epoch=1, sample=0)
    same = (changed == x).flatten(1).all(1)
    mirrored = (changed == x.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 200 < int(mirrored.sum()) < 300


def test_what_is_drawn_depends_on_seed_epoch_and_sample_alone():
    x, change = torch.rand(40, 1, 8, 8), parse("crop:2, flip")
    first = change(x, seed=0, epoch=1, sample=0)
    torch.manual_seed(5)
    assert torch.equal(first, change(x, seed=0, epoch=1, sample=0))
    for place in ((1, 1, 0), (0, 2, 0), (0, 1, 1)):
        assert not torch.equal(first, change(x, *place))
    crop, flip = parse("crop:2"), parse("flip")
    assert torch.equal(first, flip(crop(x, 0, 1, 0), 0, 1, 0))  # one after the other, each with its own numbers


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("crp:4", r"unknown augment 'crp': did you mean 'crop'\? It is one of crop, flip"),
        ("crop", "augment 'crop': write crop:N with a whole number of pixels, like crop:4"),
        ("crop:0", "augment 'crop:0': write crop:N"),
        ("crop:-1", "augment 'crop:-1': write crop:N"),
        ("flip:2", "augment 'flip:2': write flip alone"),
        ("flip,", "unknown augment ''"),
        ("flip,flip", "holds a change twice"),
        ("crop:8", "augment 'crop:8': 8 pixels are too many for images of 8 x 8"),
    ],
)
def test_refuses(few_digits, text, words):
    with pytest.raises(pp.UserError, match=words):
        pp.train(pp.build("fc:8", few_digits.item_shape, 10), few_digits, engine="local", augment=text)


def test_refuses_items_that_are_no_images():
    noise = pp.load("random:12")
    with pytest.raises(pp.UserError, match=r"'flip' is for images \(channels, height, width\): items of random:12 are"):
        pp.train(pp.build("fc:8", noise.item_shape, 10), noise, engine="local", augment="flip")


def test_a_run_learns_from_the_changed_images_and_is_tested_on_the_others(few_digits):
    options = {"engine": "local", "batch_size": 150, "epochs": 1}
    order = shuffled(150, 0, 1)  # one sample holds all items, in this order
    back = torch.empty_like(few_digits.x_train)
    back[order] = parse("crop:1")(few_digits.x_train[order], 0, 1, 0)
    before = pp.Data(back, few_digits.y_train, few_digits.x_test, few_digits.y_test, 10)
    told = pp.train(pp.build("fc:24", (1, 8, 8), 10), before, **options)
    result = pp.train(pp.build("fc:24", (1, 8, 8), 10), few_digits, augment="crop:1", **options)
    plain = pp.train(pp.build("fc:24", (1, 8, 8), 10), few_digits, **options)
    assert result.weights_sha256 == told.weights_sha256 != plain.weights_sha256
    assert result.history[0]["test_loss"] == told.history[0]["test_loss"]


def test_a_stopped_run_goes_on_with_the_same_changes(few_digits, tmp_path):
    options = {
        "epochs": 2, "batch_size": 16, "schedule": "streaming", "window": 3, "snapshot_every": 4, "engine": "local",
        "augment": "crop:1,flip",
    }  # fmt: skip
    whole = pp.train(pp.build("fc:24x2", (1, 8, 8), 10), few_digits, **options)
    asked = iter([False] * 6 + [True] * 100)
    pp.train(
        pp.build("fc:24x2", (1, 8, 8), 10), few_digits, stop=lambda: next(asked), run_dir=tmp_path / "run", **options
    )
    assert pp.resume(tmp_path / "run", few_digits).weights_sha256 == whole.weights_sha256
    with pytest.raises(pp.UserError, match="augment 'flip': a resumed run keeps its own"):
        pp.resume(tmp_path / "run", few_digits, augment="flip")
