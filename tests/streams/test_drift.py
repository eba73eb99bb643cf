"""Drifts change what they say, from where they say, and nothing before."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

import pipepita as pp
from pipepita.streams import Stream, as_stream, drift, drifted, parse

ITEMS = 2000


def numbered(shape=(1, 5, 5), classes=10, items=ITEMS) -> Stream:
    """Random items of which each knows its class."""
    values = torch.rand(items, *shape, generator=torch.Generator().manual_seed(3))
    pairs = [(x, index % classes) for index, x in enumerate(values)]
    return Stream("numbered", shape, classes, lambda: iter(pairs), length=items)


def columns(stream: Stream, items: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    xs, ys = zip(*itertools.islice(stream, items), strict=True)
    return torch.stack(xs), torch.tensor(ys)


def same(one: Stream, other: Stream) -> bool:
    return all(torch.equal(a, b) for a, b in zip(columns(one), columns(other), strict=True))


@pytest.mark.parametrize(
    "text", ["remap@700", "remap:3-5@700", "rotate:90@700", "permute@700", "noise:0.5@700", "remap@700-900",
             "rotate:30@700-900", "permute@700-900", "noise:0.5@700-900"],
)  # fmt: skip
def test_nothing_changes_before_and_the_same_seed_gives_the_same(text):
    plain, stream = numbered(), drifted(numbered(), text, seed=4)
    x, y = columns(plain)
    changed_x, changed_y = columns(stream)
    assert torch.equal(changed_x[:700], x[:700])
    assert torch.equal(changed_y[:700], y[:700])
    inputs = not text.startswith("remap")
    assert torch.equal(changed_y, y) == inputs
    assert torch.equal(changed_x, x) != inputs
    assert same(stream, stream)
    assert same(stream, drifted(numbered(), text, seed=4))
    assert (stream.length, stream.item_shape, stream.classes) == (ITEMS, (1, 5, 5), 10)
    if text not in ("remap:3-5@700", "rotate:90@700"):
        assert same(stream, drifted(numbered(), text, seed=5)) == text.startswith("rotate")


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_remap_is_a_permutation_in_which_no_class_stays(classes):
    for seed in range(10):
        _, before = columns(numbered(classes=classes))
        _, after = columns(drifted(numbered(classes=classes), "remap@0", seed=seed))
        table = [set(after[before == label].tolist()) for label in range(classes)]
        assert all(len(to) == 1 for to in table)
        assert set.union(*table) == set(range(classes))
        assert all(label not in to for label, to in enumerate(table))


def test_two_classes_change_places():
    _, before = columns(numbered())
    _, after = columns(drifted(numbered(), "remap:3-5@1000"))
    expected = before.clone()
    expected[1000:][before[1000:] == 3] = 5
    expected[1000:][before[1000:] == 5] = 3
    assert torch.equal(after, expected)


def test_the_share_of_a_gradual_remap_rises_linearly():
    stream = numbered(items=9000)
    _, before = columns(stream)
    _, after = columns(drifted(stream, "remap@2000-8000"))
    changed = (before != after).to(torch.float64)
    assert changed[:2000].sum() == 0
    assert changed[8000:].mean() == 1
    parts = changed[2000:8000].view(6, 1000).mean(1)
    assert parts.tolist() == pytest.approx([(2 * part + 1) / 12 for part in range(6)], abs=0.06)


@pytest.mark.parametrize(("degrees", "quarters"), [(90, 1), (180, 2), (-90, -1), (270, 3)])
@pytest.mark.parametrize("shape", [(1, 5, 5), (3, 4, 4), (6, 6)])
def test_rotation_turns_anticlockwise(degrees, quarters, shape):
    x, _ = columns(numbered(shape, items=40))
    turned, _ = columns(drifted(numbered(shape, items=40), f"rotate:{degrees}@20"))
    assert torch.allclose(turned[20:], torch.rot90(x[20:], quarters, (-2, -1)), atol=1e-5)


def test_rotation_keeps_distances_in_images_that_are_not_square():
    image = torch.zeros(1, 9, 21)
    image[0, 4, 13] = 1  # three to the right of the middle
    turned, _ = next(iter(drifted(as_stream([(image, 0)]), "rotate:90@0")))
    assert turned[0, 1, 10] == pytest.approx(1, abs=1e-5)  # three above it
    assert turned.sum() == pytest.approx(1, abs=1e-4)


def test_a_gradual_rotation_grows():
    image = torch.zeros(1, 41, 41)
    image[0, 20, 36] = 1
    stream = Stream("point", (1, 41, 41), 2, lambda: iter([(image, 0)] * 101))
    turned, _ = columns(drifted(stream, "rotate:90@0-90"))
    down, right = torch.arange(41.0).view(41, 1) - 20, torch.arange(41.0) - 20
    for index in (0, 30, 45, 60, 90, 100):
        weight = turned[index, 0] / turned[index].sum()
        angle = math.degrees(math.atan2(-(weight * down).sum(), (weight * right).sum()))
        assert angle == pytest.approx(min(index, 90), abs=1.5)


def test_permute_moves_the_pixels_of_all_channels_alike():
    x, _ = columns(numbered((3, 4, 4)))
    moved, _ = columns(drifted(numbered((3, 4, 4)), "permute@100"))
    order = [int((x[500, 0].flatten() == value).nonzero()) for value in moved[500, 0].flatten()]
    assert sorted(order) == list(range(16)) != order
    assert torch.equal(moved[100:].flatten(2), x[100:].flatten(2)[:, :, order])


def test_two_features_always_change_places():
    x, _ = columns(numbered((2,)))
    for seed in range(8):
        moved, _ = columns(drifted(numbered((2,)), "permute@0", seed=seed))
        assert torch.equal(moved, x.flip(1))


def test_noise_has_the_standard_deviation_asked_for_and_grows_to_it():
    x, _ = columns(numbered())
    added = columns(drifted(numbered(), "noise:0.5@1000"))[0] - x
    assert added[1000:].std() == pytest.approx(0.5, rel=0.03)
    assert added[1000:].mean() == pytest.approx(0, abs=0.015)
    growing = columns(drifted(numbered(), "noise:0.5@0-1000"))[0] - x
    assert growing[450:550].std() == pytest.approx(0.25, rel=0.1)
    assert growing[1000:].std() == pytest.approx(0.5, rel=0.03)


def test_classes_come_in_groups_then_all():
    stream = drifted(numbered(classes=5), "classes:2@60")
    assert stream.marks == [(60, "classes 2, 3"), (120, "classes 4"), (180, "all classes")]
    _, y = columns(stream, 230)
    assert [set(y[first : first + 60].tolist()) for first in (0, 60, 120)] == [{0, 1}, {2, 3}, {4}]
    assert set(y[180:].tolist()) == set(range(5))


def test_groups_are_chosen_before_labels_change():
    _, y = columns(drifted(numbered(classes=4), "remap:0-3@50,classes:2@100"), 200)
    assert set(y[:50].tolist()) == {0, 1}
    assert set(y[50:100].tolist()) == {3, 1}
    assert set(y[100:].tolist()) == {2, 0}


def test_a_group_that_never_comes_is_an_error(monkeypatch):
    monkeypatch.setattr("pipepita.streams.labels._MOST_SKIPPED", 50)
    one_class = Stream("ones", (1,), 2, lambda: itertools.repeat((torch.zeros(1), 0)))
    with pytest.raises(pp.RunError, match="ones: 50 items in a row are not of group 1"):
        list(drifted(one_class, "classes:1@10"))


def test_several_drifts_follow_each_other():
    x, y = columns(numbered())
    changed_x, changed_y = columns(stream := drifted(numbered(), "rotate:180@500, remap:0-1@900,remap:0-1@1200"))
    assert torch.allclose(changed_x[500:], x[500:].flip(2, 3), atol=1e-5)
    assert torch.equal(changed_y[1200:], y[1200:])
    assert (changed_y[900:1200] != y[900:1200]).sum() == 60
    assert stream.marks == [(500, "rotate:180"), (900, "remap:0-1"), (1200, "remap:0-1")]


def test_two_of_a_kind_draw_differently():
    _, y = columns(numbered())
    _, once = columns(drifted(numbered(), "remap@0"))
    _, twice = columns(drifted(numbered(), "remap@0,remap@0"))
    table = {int(a): int(b) for a, b in zip(y, once, strict=True)}
    assert twice.tolist() != [table[table[int(a)]] for a in y]


def test_marks_of_gradual_drifts_and_of_short_streams():
    assert drifted(numbered(), "noise:0.5@10-90").marks == [(10, "noise:0.5 begins"), (90, "noise:0.5 complete")]
    assert drifted(numbered(items=50), "noise:0.5@10-90,remap@60").marks == [(10, "noise:0.5 begins")]


def test_parse():
    one, other = parse("rotate:-22.5@5000-7000, classes:2@3000")
    assert one == drift.Rotate(degrees=-22.5, start=5000, end=7000)
    assert other == drift.Classes(size=2, start=3000)
    assert parse("remap:3-5@0") == [drift.Remap(pair=(3, 5), start=0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rotat:90@5", "unknown drift 'rotat'.*did you mean 'rotate'"),
        ("", "unknown drift ''"),
        ("remap@5,", "unknown drift ''"),
        ("remap", "drift 'remap' cannot be read: write it like remap@5000"),
        ("remap@", "'remap@' cannot be read"),
        ("remap@-5", "'remap@-5' cannot be read"),
        ("remap@5.5", "cannot be read"),
        ("remap@5-", "cannot be read"),
        ("remap@5-5", "cannot be read"),
        ("remap@7-5", "cannot be read"),
        ("remap:@5", "'remap:@5' cannot be read: write it like .*remap:3-5@5000"),
        ("remap:3@5", "cannot be read"),
        ("remap:3-3@5", "cannot be read"),
        ("rotate@5", "'rotate@5' cannot be read: write it like rotate:90@5000"),
        ("rotate:x@5", "cannot be read"),
        ("rotate:0@5", "cannot be read"),
        ("rotate:nan@5", "cannot be read"),
        ("rotate:360@5", "cannot be read"),
        ("permute:3@5", "'permute:3@5' cannot be read: write it like permute@4000"),
        ("noise@5", "cannot be read: write it like noise:0.5@2000"),
        ("noise:-1@5", "cannot be read"),
        ("noise:inf@5", "cannot be read"),
        ("classes@5", "cannot be read: write it like classes:2@3000"),
        ("classes:0@5", "cannot be read"),
        ("classes:2@0", "cannot be read"),
        ("classes:2@5-7", "cannot be read"),
        (5, "drifts are written as a string, not 5"),
    ],
)
def test_texts_that_cannot_be_read(text, words):
    with pytest.raises(pp.UserError, match=words) as error:
        parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("rotate:90@5", (4,), r"drift rotate:90 turns images: items of numbered have shape \(4,\)"),
        ("remap:1-10@5", (4,), "drift remap:1-10: classes of numbered go from 0 to 9"),
        ("classes:10@5", (4,), "drift classes:10: numbered has 10 classes: name a smaller group"),
        ("classes:2@5,classes:3@9", (4,), "drift classes is given twice"),
        ("permute@5", (1,), "items of numbered hold one number"),
    ],
)
def test_drifts_that_do_not_fit_the_stream(text, shape, words):
    with pytest.raises(pp.UserError, match=words):
        drifted(numbered(shape), text)


def test_a_drift_made_by_hand_is_checked():
    with pytest.raises(pp.UserError, match="write a drift like noise"):
        drift.Noise(std=0, start=5)
    with pytest.raises(pp.UserError, match="write a drift like remap"):
        drift.Remap(start=5, end=4)
