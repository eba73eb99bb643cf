"""What becomes a stream, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import pipepita as pp
from pipepita.streams import Stream, as_stream

PAIRS = [([1.0, 2.0], 0), ([3.0, 4.0], 2), ([5.0, 6.0], 1)]


def with_item(item: object, index: int = 2) -> list[object]:
    return [*PAIRS[:index], item, *PAIRS[index + 1 :]]


def test_a_list_gives_the_same_items_each_time():
    stream = as_stream(PAIRS)
    assert (stream.item_shape, stream.classes, stream.length, stream.marks) == ((2,), 3, 3, [])
    for _ in range(2):
        items = list(stream)
        assert [y for _, y in items] == [0, 2, 1]
        assert torch.equal(torch.stack([x for x, _ in items]), torch.tensor([[1.0, 2], [3, 4], [5, 6]]))
        assert all(x.dtype == torch.float32 and type(y) is int for x, y in items)
    assert as_stream(stream) is stream


@pytest.mark.parametrize(
    "x",
    [
        torch.tensor([0.25, 1.0], requires_grad=True),
        np.array([0.25, 1.0]),
        np.array([1.0, 0.25], ">f4")[::-1],
        (0.25, True),
        {"a": 0.25, "b": True},
        {"a": "0.25", "b": 1},
    ],
)
def test_many_kinds_of_items(x):
    found, _ = next(iter(as_stream([(x, 0)])))
    assert found.tolist() == [0.25, 1.0]
    assert not found.requires_grad


def test_bytes_come_to_the_unit_interval():
    x, _ = next(iter(as_stream([(np.array([[0, 51], [102, 255]], np.uint8), 1)])))
    assert torch.equal(x, torch.tensor([[0, 0.2], [0.4, 1]]))


def test_features_are_put_in_the_order_of_the_first_item():
    items = list(as_stream([({"b": 1, "a": 2}, 0), ({"a": 4, "b": 3}, 1)]))
    assert [x.tolist() for x, _ in items] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("labels", "numbers", "classes"),
    [
        (["up", "down", "up", "flat"], [0, 1, 0, 2], 3),
        ([True, False, np.True_, torch.tensor(True)], [1, 0, 1, 1], 2),
        ([np.int64(4), torch.tensor(1), np.uint8(0), 2], [4, 1, 0, 2], 5),
    ],
)
def test_labels_become_classes(labels, numbers, classes):
    stream = as_stream([([0.0], y) for y in labels])
    assert stream.classes == classes
    assert [[y for _, y in stream] for _ in range(2)] == [numbers, numbers]


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (with_item(([5.0, np.nan], 1)), r"s\[2\] holds a NaN or an infinite value"),
        (with_item(([5.0, 1e300], 1)), r"s\[2\] holds a NaN or an infinite value"),
        (with_item(([5.0], 1)), r"s\[2\] has shape \(1,\): the first item has \(2,\)"),
        (with_item(([5.0, 6.0], 3)), r"s\[2\]: the label is 3: labels go from 0 to 2"),
        (with_item(([5.0, 6.0], -1)), r"s\[2\]: the label is -1: labels go from 0 to 2"),
        (with_item(([5.0, 6.0], 1.0)), r"s\[2\]: the label is 1.0: it must be an integer"),
        (with_item(([5.0, 6.0], "up")), r"s\[2\]: the label is 'up': labels are strings, or integers"),
        (with_item([5.0]), r"s\[2\] is list: it must be a pair"),
        (with_item(None, 0), r"s\[0\] is NoneType: it must be a pair"),
        (with_item((["a", "b"], 1)), r"s\[2\] cannot become a tensor"),
        (with_item(([[5.0], [6.0, 7.0]], 1)), r"s\[2\] cannot become a tensor"),
        (with_item((5.0, 1), 0), r"s\[0\] has shape \(\): it must be a vector or an image"),
        (with_item(({"a": 5.0}, 1)), r"s\[2\] is dict: either all items are dicts"),
        ([({"a": 1}, 0), ({"b": 1}, 0)], r"s\[1\] lacks feature 'a'"),
        ([({"a": 1}, 0), ({"a": 1, "b": 1}, 0)], r"s\[1\] has feature 'b', which the first item lacks"),
        ([({"a": 1}, 0), ({"a": "red"}, 0)], r"s\[1\]: feature 'a' is 'red': it must be a number"),
        ([({"a": 1}, 0), ({"a": "nan"}, 0)], r"s\[1\]: feature 'a' is 'nan': it must be finite"),
        ([([1.0], y) for y in "abcd"], r"s\[3\]: the label is 'd', after 3 others"),
        ([], "s holds no items"),
    ],
)
def test_refuses_in_one_line(items, words):
    with pytest.raises(pp.UserError, match=words) as error:
        list(as_stream(iter(items), classes=3, name="s"))
    assert "\n" not in str(error.value)


def test_what_is_wrong_comes_when_it_is_reached():
    stream = as_stream(with_item(([np.inf, 0], 1)), classes=3)
    assert len(list(itertools.islice(stream, 2))) == 2


def test_a_generator_can_be_gone_through_once():
    stream = as_stream((pair for pair in PAIRS), classes=3, name="live")
    assert [y for _, y in stream] == [0, 2, 1]
    with pytest.raises(pp.UserError, match="live comes from a generator: it can be gone through once"):
        iter(stream)


def test_classes_that_cannot_be_known():
    with pytest.raises(pp.UserError, match="give classes=..."):
        as_stream(iter(PAIRS))
    for classes in (1, 2.0, True, "3"):
        with pytest.raises(pp.UserError, match="classes is .*: it must be a whole number, at least 2"):
            as_stream(iter(PAIRS), classes=classes)
    with pytest.raises(pp.UserError, match="an iterable of .x, y., not of int"):
        as_stream(3)


def test_rivers_own_streams_say_their_classes():
    synth = pytest.importorskip("river.datasets.synth")
    sea = as_stream(synth.SEA(seed=1))
    expected, label = next(iter(synth.SEA(seed=1)))
    x, y = next(iter(sea))
    assert (sea.item_shape, sea.classes, y) == ((3,), 2, int(label))
    assert x.tolist() == pytest.approx(list(expected.values()))
    assert as_stream(synth.LED(seed=1)).classes == 10


def test_the_first_of_a_stream():
    stream = Stream("s", (2,), 3, lambda: iter(as_stream(PAIRS)), [(1, "here"), (2, "there")])
    short = stream.first(2)
    assert [y for _, y in short] == [0, 2]
    assert (short.length, short.marks) == (2, [(1, "here")])
    with pytest.raises(pp.UserError, match="s holds 2 items: 3 were asked for"):
        short.first(3)
    for length in (0, -1, 1.5, True):
        with pytest.raises(pp.UserError, match="length is .*: it must be a whole number"):
            stream.first(length)
