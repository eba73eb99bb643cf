"""Streams whose labels are numbers."""

import numpy as np
import pytest
import torch
from river import datasets, metrics
from river.datasets import synth

import pipepita as pp
from pipepita.streams import NumberPrequential, as_stream, open_stream, prequential
from pipepita.streams.river_source import river_stream


@pytest.mark.parametrize(
    ("labels", "count"),
    [
        ([0.5, 1, 2], 1),
        ([np.float32(0.5), 1.5, 2.5], 1),
        ([torch.tensor(0.5), 1.5, 2.5], 1),
        ([[1, 2], [3, 4], [5, 6]], 2),
        (list(np.arange(6).reshape(3, 2)), 2),
    ],
)
def test_floats_and_several_numbers_are_predicted(labels, count):
    stream = as_stream([([1.0, 2.0], y) for y in labels])
    assert stream.regression and stream.classes == count
    assert [y for _, y in stream] == [tuple(np.ravel(y).astype(float)) for y in labels]


def test_whole_numbers_are_classes_unless_one_says_so():
    items = [([1.0], 3), ([2.0], 7)]
    assert not as_stream(items).regression
    stream = as_stream(items, regression=True)
    assert stream.regression and [y for _, y in stream] == [(3.0,), (7.0,)]
    assert stream.first(1).regression


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0.5, "a"], r"stream\[1\]: the label is 'a': it must be a finite number"),
        ([0.5, float("nan")], r"stream\[1\]: the label is nan"),
        ([0.5, [1.0, 2.0]], "must be a finite number"),
        ([[1.0, 2.0], 3.0], "must be 2 finite numbers"),
        ([0.5, None], "the label is None"),
    ],
)
def test_other_labels_are_refused(labels, words):
    with pytest.raises(pp.UserError, match=words):
        list(as_stream([([1.0], y) for y in labels]))


def test_rivers_regression_is_taken():
    expected = list(datasets.TrumpApproval())
    stream = open_stream("river:TrumpApproval")
    assert (stream.regression, stream.classes, stream.item_shape, stream.length) == (True, 1, (6,), 1001)
    assert [y for _, y in stream] == [(y,) for _, y in expected]
    for name, features in (("Friedman", 10), ("Planes2D", 10), ("FriedmanDrift", 10)):
        stream = open_stream(f"river:{name}", length=5, seed=3)
        assert stream.regression and stream.item_shape == (features,)


def test_texts_of_a_river_class_become_numbers():
    stream = river_stream("Mv", seed=5, scaled=False)
    for (x, y), (features, number) in zip(stream.first(60), synth.Mv(seed=5).take(60), strict=True):
        texts = [features[3] == "brown", features[3] == "green", features[3] == "red"]
        more = [*texts, features[7] == "yes", features[8] == "large"]
        expected = [*(features[key] for key in (1, 2, 4, 5, 6, 9, 10)), *more]
        assert torch.allclose(x, torch.tensor(expected, dtype=torch.float32)) and y == (number,)


def test_bikes_are_read_where_their_file_is(tmp_path, monkeypatch):
    lines = [
        "moment,bikes,station,clouds,description,humidity,pressure,temperature,wind",
        "2016-04-01 00:30:00,1,metro-canal-du-midi,75,light rain,81,1017.0,6.54,9.3",
        "2016-04-01 13:00:00,4,place-des-carmes,0,sky is clear,50,1018.0,14.5,3.1",
    ]
    (tmp_path / "Bikes").mkdir()
    (tmp_path / "Bikes" / "toulouse_bikes.csv").write_text("\n".join(lines))
    monkeypatch.setattr(datasets.Bikes, "is_downloaded", property(lambda self: self.path.exists()))
    stream = river_stream("Bikes", data_dir=tmp_path, scaled=False)
    assert [(x.tolist(), y) for x, y in stream] == [
        (pytest.approx([75, 81, 1017, 6.54, 9.3, 0.5]), (1.0,)),
        (pytest.approx([0, 50, 1018, 14.5, 3.1, 13]), (4.0,)),
    ]


@pytest.mark.parametrize("drift", ["remap@5", "classes:2@5"])
def test_drifts_of_classes_are_refused(drift):
    with pytest.raises(pp.UserError, match="the labels of river:Friedman are numbers, and not classes"):
        open_stream("river:Friedman", drift=drift, length=20)
    assert open_stream("river:Friedman", drift="noise:0.5@5,permute@10", length=20).regression


def test_figures_are_those_of_rivers_metrics():
    source = np.random.default_rng(0)
    labels = source.normal(50, 4, 700)
    said = labels + source.normal(0, 2, 700)
    found, rivers = NumberPrequential(window=100), [metrics.MAE(), metrics.RMSE(), metrics.R2()]
    for prediction, label in zip(said.tolist(), labels.tolist(), strict=True):
        assert found.add(prediction, (label,)) is False
        for metric in rivers:
            metric.update(label, prediction)
    figures = found.figures()
    assert list(figures.values())[:3] == pytest.approx([metric.get() for metric in rivers])
    assert figures["sliding_mae"] == found.windowed == pytest.approx(np.abs(said - labels)[-100:].mean())
    assert found.curve[-1] == (699, found.windowed)


@pytest.mark.parametrize("detector", ["adwin", "kswin", "page-hinkley"])
def test_a_detector_finds_larger_errors(detector):
    source = np.random.default_rng(1)
    found = prequential(True, detector=detector)
    for index in range(3000):
        found.add(float(source.normal(0, 0.1 if index < 1500 else 3)), (0.0,))
    assert any(1500 <= item < 1800 for item in found.detected)


def test_detectors_of_right_and_wrong_are_refused():
    with pytest.raises(pp.UserError, match="detector ddm counts right and wrong predictions; for numbers there"):
        prequential(True, detector="ddm")
