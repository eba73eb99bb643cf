"""Streams by name."""

from __future__ import annotations

import itertools
import statistics
import sys

import pytest
import torch
from calls import calls

import pipepita as pp
from pipepita.streams import open_stream, river_source, river_text
from pipepita.streams.river_source import river_stream

pytest.importorskip("river")


def columns(stream, items=None):
    xs, ys = zip(*itertools.islice(stream, items), strict=True)
    return torch.stack(xs), torch.tensor(ys)


def as_rows(x, y):
    return sorted([*row, label] for row, label in zip(x.flatten(1).tolist(), y.tolist(), strict=True))


def test_a_data_set_comes_once_in_an_order_of_the_seed(digits):
    stream = open_stream("digits")
    assert (stream.item_shape, stream.classes, stream.length, stream.marks) == ((1, 8, 8), 10, 1442, [])
    x, y = columns(stream)
    assert as_rows(x, y) == as_rows(digits.x_train, digits.y_train)
    assert not torch.equal(x, digits.x_train)
    again, _ = columns(open_stream("digits"))
    other, _ = columns(open_stream("digits", seed=1))
    assert torch.equal(x, again)
    assert not torch.equal(x, other)


def test_a_longer_stream_goes_on_in_another_order():
    x, y = columns(open_stream("digits", length=2 * 1442 + 10))
    assert len(x) == 2894
    assert not torch.equal(x[:1442], x[1442:2884])
    assert as_rows(x[:1442], y[:1442]) == as_rows(x[1442:2884], y[1442:2884])
    assert len(list(open_stream("digits", length=7))) == 7


def test_a_stream_with_drifts():
    plain, labels = columns(open_stream("digits", seed=3))
    x, y = columns(stream := open_stream("digits", drift="rotate:90@100,remap:1-2@200", seed=3))
    assert torch.equal(x[:100], plain[:100])
    assert torch.allclose(x[100:], torch.rot90(plain[100:], 1, (2, 3)), atol=1e-5)
    assert torch.equal(y[:200], labels[:200])
    assert not torch.equal(y[200:], labels[200:])
    assert stream.marks == [(100, "rotate:90"), (200, "remap:1-2")]


def test_groups_of_classes_find_items_enough():
    _, y = columns(stream := open_stream("digits", drift="classes:2@250"))
    assert len(y) == stream.length == 1442
    assert [set(y[250 * group : 250 * group + 250].tolist()) for group in range(5)] == [
        {2 * group, 2 * group + 1} for group in range(5)
    ]
    assert len(set(y[1250:].tolist())) == 10


@pytest.mark.parametrize(("name", "features"), [("SEA", 3), ("Agrawal", 9), ("STAGGER", 3), ("RandomRBF", 10)])
def test_rivers_generators(name, features):
    stream = open_stream(f"river:{name}", length=200, seed=5)
    x, y = columns(stream)
    assert (x.shape, x.dtype, stream.item_shape, stream.classes) == ((200, features), torch.float32, (features,), 2)
    assert set(y.tolist()) == {0, 1}
    assert torch.equal(x, columns(stream)[0])
    assert torch.equal(x, columns(open_stream(f"river:{name}", length=200, seed=5))[0])
    assert not torch.equal(x, columns(open_stream(f"river:{name}", length=200, seed=6))[0])
    assert next(iter(open_stream(f"river:{name}")))[0].tolist() == [0] * features  # one item has no spread


def test_options_and_seed_reach_river():
    from river.datasets import synth

    expected = list(synth.SEA(variant=2, noise=0.2, seed=5).take(300))
    x, y = columns(river_stream("SEA(variant=2, noise=0.2)", seed=5, scaled=False), 300)
    assert y.tolist() == [int(label) for _, label in expected]
    assert torch.equal(x, torch.tensor([list(features.values()) for features, _ in expected]))
    given, _ = columns(river_stream("SEA(variant=2, noise=0.2, seed=5)", seed=9, scaled=False), 300)
    assert torch.equal(given, x)
    assert river_stream("RandomRBF(n_classes=4)").classes == 4


@pytest.mark.parametrize("false", ["false", "False"])
def test_options_are_read_as_json(false):
    from river.datasets import synth

    for written, value in ((false, False), ("true", True)):
        x, y = columns(river_stream(f"Agrawal(balance_classes={written})", seed=5, scaled=False), 40)
        expected = list(synth.Agrawal(balance_classes=value, seed=5).take(40))
        assert y.tolist() == [label for _, label in expected]
        assert torch.equal(x, torch.tensor([list(features.values()) for features, _ in expected]))
    assert set(y[::2].tolist()) != set(y[1::2].tolist())  # balanced: the classes take turns


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("A()", {}),
        (" A ( a = -1.5e3 , b_2=null,) ", {"a": -1500.0, "b_2": None}),
        ('A(a="x,) =",b=y-1,c=1a)', {"a": "x,) =", "b": "y-1", "c": "1a"}),
        ("A(a=[1,2],b=None)", {"a": [1, 2], "b": None}),
    ],
)
def test_a_river_stream_is_read(text, options):
    assert river_text.read(text) == ("A", options)


def test_what_is_offered_can_be_used():
    names = river_source.usable()
    assert {"SEA", "Agrawal", "Phishing", "Elec2", "TrumpApproval", "Bikes", "Friedman", "Mv"} <= set(names)
    assert not {"SMSSpam", "TREC07", "MaliciousURL", "SolarFlare", "WaterFlow", "Logical"} & set(names)
    for name in names:
        try:
            stream = open_stream(f"river:{name}", length=3)
        except pp.UserError as error:
            assert "allow --download" in str(error)  # its file is not here
        else:
            assert all(torch.isfinite(x).all() for x, _ in stream)


def test_standardising_looks_at_nothing_that_comes_later():
    raw, _ = columns(river_stream("Agrawal", seed=1, scaled=False), 500)
    scaled, _ = columns(open_stream("river:Agrawal", seed=1), 500)
    for feature in range(9):
        for index in (1, 50, 499):
            seen = raw[: index + 1, feature].double().tolist()
            expected = (seen[-1] - statistics.fmean(seen)) / (statistics.pstdev(seen) or 1)
            assert scaled[index, feature].item() == pytest.approx(expected, abs=1e-3)
    short, _ = columns(open_stream("river:Agrawal", seed=1, length=200))
    assert torch.equal(short, scaled[:200])


def test_a_data_set_with_text_labels():
    x, y = columns(stream := open_stream("river:ImageSegments"))
    assert (len(x), stream.length, stream.classes) == (2310, 2310, 7)
    assert torch.bincount(y).tolist() == [330] * 7
    assert y[0] == 0  # numbered as they come
    with pytest.raises(pp.UserError, match="river:ImageSegments holds 2310 items: 5000 were asked for"):
        open_stream("river:ImageSegments", length=5000)


def test_elec2_needs_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RIVER_DATA", raising=False)
    for folder in (None, tmp_path):
        with pytest.raises(pp.UserError, match="electricity.csv is missing: fetch it from http.* or allow --download"):
            open_stream("river:Elec2", data_dir=folder)
    assert not list(tmp_path.iterdir())
    path = tmp_path / "Elec2" / "electricity.csv"
    path.parent.mkdir()
    path.write_text("date")
    with pytest.raises(pp.UserError, match="electricity.csv is damaged, or another file"):
        open_stream("river:Elec2", data_dir=tmp_path)


def test_elec2_is_read_from_its_file(tmp_path):
    path = tmp_path / "Elec2" / "electricity.csv"
    path.parent.mkdir()
    names = "date,day,period,nswprice,nswdemand,vicprice,vicdemand,transfer,class\n"
    rows = [f"0.{index},2,0.5,0.{index},0.4,0.003,0.4,0.4,{'DOWN' if index % 3 else 'UP'}\n" for index in range(1, 10)]
    text = names + "".join(rows)
    path.write_text(text + "0" * (3_091_689 - len(text) - 8) + ",,,,,,,,")  # river knows the file by its size
    x, y = columns(stream := open_stream("river:Elec2", data_dir=tmp_path), 9)
    assert (stream.item_shape, stream.classes, stream.length) == ((8,), 2, 45312)
    assert y.tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1]
    assert x[1].tolist() == pytest.approx([1, 0, 0, 1, 0, 0, 0, 0], abs=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("minst", "unknown stream 'minst'.*did you mean 'mnist'"),
        ("random:", "unknown stream 'random:'"),
        ("random:a", "random:784"),
        (5, "a stream is named by a string, not 5"),
        ("river:Elec", "unknown river stream 'Elec'.*did you mean 'Elec2'"),
        ("river:", "river: cannot be read: write it like river:SEA"),
        ("river:SEA(", "cannot be read"),
        ("river:SEA(1)", "cannot be read"),
        ("river:SEA(**{})", "cannot be read"),
        ("river:SEA(variant=__import__('os').getpid())", "cannot be read"),
        ("river:synth.SEA", "cannot be read"),
        ("river:SEA(variants=1)", "unknown option of river:SEA 'variants'.*did you mean 'variant'"),
        ("river:SEA(variant=9)", r"river:SEA\(variant=9\) cannot be: Unknown variant"),
        ("river:SEA(noise=much)", r"river:SEA: noise 'much' is not a number: river's default is 0.0"),
        ("river:SolarFlare", "river:SolarFlare is for multi-output regression: a stream needs one class or one number"),
        ("river:Logical", "river:Logical is for multi-output binary classification"),
        ("river:Agrawal(balance_classes=no)", "river:Agrawal: balance_classes 'no' is not true or false: .* false"),
        ("river:Agrawal(balance_classes=0)", "balance_classes 0 is not true or false"),
        ("river:SEA(noise=NaN)", "noise 'NaN' is not a number"),
        ("river:SEA(variant=1.5)", "variant 1.5 is not a whole number"),
        ("river:SEA(variant=true)", "variant True is not a whole number"),
        ("river:SEA(variant=[1)", "cannot be read"),
        ("river:SEA(variant=1 noise=2)", "cannot be read"),
        ("river:SEA(variant=1,variant=2)", "cannot be read"),
        ("river:Phishing(seed=1)", "river:Phishing takes no options, but seed was given: write river:Phishing"),
        ("river:SMSSpam", "river:SMSSpam: its only feature is text: a stream needs the same numbers in every item"),
        ("river:MaliciousURL", "river:MaliciousURL: its items do not all have the same features"),
    ],
)
def test_streams_that_are_none(text, words):
    with pytest.raises(pp.UserError, match=words) as error:
        open_stream(text)
    assert "\n" not in str(error.value)


def test_river_that_is_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "river.datasets", None)
    with pytest.raises(pp.UserError, match=r"river.datasets cannot be imported.*pip install 'pipepita\[edge\]'"):
        open_stream("river:SEA")


def test_mnist_comes_in_few_calls(data_dir):
    stream = open_stream("mnist", data_dir=data_dir, length=3000, drift="remap@10,rotate:30@10-2000,noise:0.1@10")
    assert calls(lambda: [item[0].shape for item in stream]) < 24 * 3000
