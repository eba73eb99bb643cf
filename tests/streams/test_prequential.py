"""Accuracy as items come, and drift detectors."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from calls import calls

import pipepita as pp
from pipepita.streams import DETECTORS, ClassPrequential

pytest.importorskip("river")


def changing(items: int = 2000, at: int = 1000, seed: int = 1) -> list[int]:
    """1 where the prediction is wrong: one in ten, then nine in ten."""
    draw = random.Random(seed)
    return [int(draw.random() < (0.1 if index < at else 0.9)) for index in range(items)]


def test_by_hand():
    found = ClassPrequential(window=3)
    assert math.isnan(found.accuracy)
    assert math.isnan(found.windowed)
    assert found.curve == []
    for prediction, label in [(1, 1), (2, 1), (0, 0), (0, 0), (0, 0), (3, 1)]:
        assert found.add(prediction, label) is False
    assert found.items == 6
    assert found.accuracy == pytest.approx(400 / 6)
    assert found.windowed == pytest.approx(200 / 3)
    assert [place for place, _ in found.curve] == list(range(6))
    assert [value for _, value in found.curve] == pytest.approx([100, 50, 200 / 3, 200 / 3, 100, 200 / 3])


def test_as_river_evaluates():
    from river import evaluate, metrics, naive_bayes, utils
    from river.datasets import synth

    items = list(synth.SEA(seed=2, noise=0.1).take(1500))
    expected = evaluate.progressive_val_score(items, naive_bayes.GaussianNB(), metrics.Accuracy())
    model, found, recent = naive_bayes.GaussianNB(), ClassPrequential(window=200), utils.Rolling(metrics.Accuracy, 200)
    for x, y in items:
        guess = model.predict_one(x)
        model.learn_one(x, y)
        if guess is None:  # river counts no item for which there was no prediction
            continue
        found.add(int(guess), int(y))
        recent.update(y, guess)
    assert found.accuracy == pytest.approx(100 * expected.get())
    assert found.windowed == pytest.approx(100 * recent.get())


def test_the_curve_is_thinned_evenly_and_ends_with_the_latest():
    found = ClassPrequential(window=10)
    for index in range(12_345):
        found.add(int(index >= 6000), 0)
    places = [place for place, _ in found.curve]
    assert 400 < len(places) <= 1000
    assert (places[0], places[-1]) == (0, 12_344)
    assert len({b - a for a, b in itertools.pairwise(places[:-1])}) == 1
    assert all(value == (100 if place < 6000 else 0) for place, value in found.curve if not 6000 <= place < 6010)


@pytest.mark.parametrize("name", ["adwin", "page-hinkley", "ddm", "hddm-a", "hddm-w", "fhddm"])
def test_a_detector_finds_an_abrupt_change_and_not_before(name):
    found = ClassPrequential(detector=name)
    signals = [index for index, wrong in enumerate(changing()) if found.add(wrong, 0)]
    assert found.detected == signals
    assert 1000 <= found.detected[0] < 1100
    steady = ClassPrequential(detector=name)
    for wrong in changing(at=2000):
        steady.add(wrong, 0)
    assert steady.detected == []


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_each_detector_finds_the_change_the_same_way_each_time(name):
    runs = []
    for _ in range(2):
        found = ClassPrequential(detector=name, seed=3)
        for wrong in changing(1300):
            found.add(wrong, 0)
        runs.append(found.detected)
    assert runs[0] == runs[1]
    assert any(1000 <= index < 1200 for index in runs[0])


def test_what_cannot_be():
    with pytest.raises(pp.UserError, match="unknown drift detector 'adwim'.*did you mean 'adwin'"):
        ClassPrequential(detector="adwim")
    for window in (0, 1.5, True):
        with pytest.raises(pp.UserError, match="window is .*: it must be a whole number, at least 1"):
            ClassPrequential(window)


def test_adding_takes_the_same_few_calls_each_time():
    found, wrong = ClassPrequential(detector="adwin"), changing(5000)
    assert calls(lambda: [found.add(prediction, 0) for prediction in wrong]) < 12 * len(wrong)
