import json

import pytest
import torch

from pipepita.live.items import Parser, Refused


def read(line: bytes | str, shape=(2,), classes=4):
    return Parser(shape, classes).read(line.encode() if isinstance(line, str) else line, 1.5)


@pytest.mark.parametrize(
    ("line", "name", "x", "y"),
    [
        ('{"x": [0.5, 1], "y": 3}', None, [0.5, 1.0], 3),
        ('{"id": 7, "x": [0.5, 1]}', 7, [0.5, 1.0], None),
        ('{"id": "a", "y": 2}', "a", None, 2),
        ('{"x": [[0.5], [1]], "y": true}', None, [0.5, 1.0], 1),
        ("0.5,1,3", None, [0.5, 1.0], 3),
        (" 0.5, 1e0 ,", None, [0.5, 1.0], None),
        ("0.5,1", None, [0.5, 1.0], None),
    ],
)
def test_what_a_line_says(line, name, x, y):
    given = read(line)
    assert (given.id, given.y, given.at) == (name, y, 1.5)
    assert given.x is None if x is None else torch.equal(given.x, torch.tensor(x))


def test_texts_are_classes_in_the_order_in_which_they_come():
    parser = Parser((1,), 3)
    assert [parser.read(f"0,{name}".encode(), 0.0).y for name in ("cat", "dog", "cat", "fox")] == [0, 1, 0, 2]
    assert parser.names() == ["cat", "dog", "fox"]
    with pytest.raises(Refused, match="out of range, or no label.*'bee'"):
        parser.read(b"0,bee", 0.0)
    assert Parser((1,), 3, ["dog", "fox"]).read(b"0,fox", 0.0).y == 1


@pytest.mark.parametrize("label", ["--5", "1_0", "+3", "9" * 5000, "²"])
def test_what_looks_like_a_number_but_is_none_is_a_text(label):
    parser = Parser((1,), 3)
    assert parser.read(f"0,{label}".encode(), 0.0).y == 0
    assert parser.names() == [label]


def test_an_item_has_the_shape_of_the_input():
    x = read(json.dumps({"x": list(range(6))}), shape=(1, 2, 3)).x
    assert torch.equal(x, torch.arange(6.0).view(1, 2, 3))


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("hello", "neither JSON nor cells of CSV"),
        ("1,2,3,4", "the wrong number of cells"),
        ("1,cat", "a cell is no number"),
        (b"\xff\xfe,1", "not text"),
        ("1,nan", "x holds a number that is not finite"),
        ('{"x": [1, 2]', "not a line of JSON"),
        ("{" * 100_000, "not a line of JSON"),
        ('{"x": [1, 2], "z": 1}', "unknown field"),
        ('{"x": [1, 2, 3]}', "x has the wrong size"),
        ('{"x": [1, NaN]}', "not a line of JSON"),
        ('{"x": [1, 1e999]}', "not a line of JSON"),
        ('{"x": [1, 1e99]}', "x holds a number that is not finite"),
        ('{"x": [1, "a"]}', "x holds something that is no number"),
        ('{"x": ["1", "2"]}', "x holds something that is no number"),
        ('{"x": [[1], [1, 2]]}', "x is ragged"),
        ('{"x": [1, null]}', "x holds something that is no number"),
        ('{"x": {"a": 1}}', "x holds something that is no number"),
        ('{"x": []}', "x has the wrong size"),
        ('{"x": [1, 2], "y": 4}', "the label is out of range, or no label"),
        ('{"x": [1, 2], "y": -1}', "the label is out of range, or no label"),
        ('{"x": [1, 2], "y": 1.5}', "the label is out of range, or no label"),
        ('{"x": [1, 2], "y": [1]}', "the label is out of range, or no label"),
        ('{"id": [1], "x": [1, 2]}', "the id is no number and no text"),
        ('{"id": true, "x": [1, 2]}', "the id is no number and no text"),
        ('{"y": 3}', "neither an item nor a label"),
        ('{"id": 3}', "neither an item nor a label"),
        ("{}", "neither an item nor a label"),
    ],
)
def test_lines_that_say_nothing_of_use(line, kind):
    with pytest.raises(Refused) as refused:
        read(line)
    assert refused.value.kind == kind and str(refused.value).startswith(kind)
