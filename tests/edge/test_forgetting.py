"""What is remembered of earlier concepts, on items that are never learnt from."""

import json
from types import SimpleNamespace

import pytest
import torch

import pipepita as pp
from pipepita.edge.forgetting import Concept, Exam, Remembered, divided
from pipepita.edge.learning import Replay
from pipepita.edge.report import page, picture, tables
from pipepita.edge.scenario import Scenario
from pipepita.edge.simulation import Simulation, simulate
from pipepita.network.cut import cut
from pipepita.runs.options.reading import checked
from pipepita.streams import as_stream, open_stream

OPTIONS = {"devices": "rpi4*2", "network": "fc:32", "samples": 600, "lr": 0.005}


def simulated(**options) -> Simulation:
    return simulate(checked(Scenario, {**OPTIONS, **options}), pictures=options.pop("pictures", False))


@pytest.fixture(scope="module")
def grouped() -> Simulation:
    """Two groups of classes, and then all of them together."""
    return simulated(drift="classes:5@200", forgetting=True)


def test_by_hand():
    concepts = [Concept("a", 0, 10), Concept("b", 10, 20), Concept("c", 20, 30)]
    points = [(5, [50, 0, 0]), (10, [90, 10, 0]), (20, [40, 80, 0]), (25, [30, 75, 50]), (30, [60, 70, 95])]
    found = Remembered(concepts, points)
    assert [found.after(place) for place in range(3)] == [points[1][1], points[2][1], points[4][1]]
    assert found.forgotten == [30, 10, 0]
    assert found.backward_transfer == -20


@pytest.mark.parametrize(
    ("marks", "expected"),
    [
        ([], [("at first", 0, 100)]),
        ([(30, "remap")], [("at first", 0, 30), ("remap", 30, 100)]),
        ([(0, "remap")], [("at first", 0, 100)]),
        ([(20, "a begins"), (60, "a complete")], [("at first", 0, 20), ("a complete", 60, 100)]),
        ([(50, "a"), (50, "b")], [("at first", 0, 50), ("b", 50, 100)]),
        ([(50, "a"), (200, "b")], [("at first", 0, 50), ("a", 50, 100)]),
    ],
)
def test_drifts_divide_a_stream(marks, expected):
    assert divided(marks, 100) == [Concept(*one) for one in expected]


def test_to_ask_changes_nothing_of_what_is_learnt(grouped):
    for one, other in zip(simulated(drift="classes:5@200").outcomes, grouped.outcomes, strict=True):
        assert one.learnt.weights_sha256 == other.learnt.weights_sha256
        assert one.learnt.predictions == other.learnt.predictions and one.learnt.remembered is None


def test_classes_that_no_longer_come_are_forgotten(grouped):
    assert [concept.name for concept in grouped.outcomes[0].learnt.remembered.concepts] == [
        "at first", "classes 5, 6, 7, 8, 9", "all classes",
    ]  # fmt: skip
    for outcome in grouped.outcomes:
        found = outcome.learnt.remembered
        items = [items for items, _ in found.points]
        assert items == sorted(items) and items[-1] == 600 and len(items) >= 20
        first, second = found.after(0), found.after(1)
        assert first[0] > 70 and first[1] < 10  # they have never come
        assert second[1] > 40 and second[0] < first[0] - 50
        assert found.after(2)[0] > second[0]
        assert found.forgotten[0] == first[0] - found.after(2)[0]


def test_the_last_answers_are_those_of_the_trained_network(digits):
    """Of test items: none of them is learnt from."""
    simulation = simulated(drift="remap:1-2@300", forgetting=True)
    task = simulation.network.task  # untrained: each setup trains a copy
    exam = Exam.of(simulation.scenario, simulation.stream)
    fresh = exam.hold(task.layers)
    assert all(found < 40 for found in fresh)
    held_out = open_stream("digits", drift="remap:1-2@300", length=600, held_out=True)
    known = {tuple(x.flatten().tolist()) for x in digits.x_test}
    assert {tuple(x.flatten().tolist()) for x, _ in held_out} <= known
    swapped = [y for _, y in held_out][300:]
    plain = [y for _, y in open_stream("digits", length=600, held_out=True)][300:]
    assert [{1: 2, 2: 1}.get(y, y) for y in plain] == swapped
    found = simulation.outcomes[0].learnt.remembered
    assert found.points[-1][1][1] > 60 > found.points[-1][1][0] - found.forgotten[0] - 60


def test_a_drift_that_goes_on_to_the_end_is_no_concept_but_its_items_count():
    simulation = simulated(drift="remap@100,noise:0.5@200-900", samples=400, forgetting=True)
    found = simulation.outcomes[0].learnt.remembered
    assert [concept.end for concept in found.concepts] == [100, 200]
    items = [items for items, _ in found.points]
    assert items == sorted(set(items)) and items[-1] == 400 and {100, 200} <= set(items)
    assert found.after(1) == dict(found.points)[200] != found.points[-1][1]


def test_an_exam_counts_right_answers():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2))
    items = [([1.0, 0.0], 0), ([0.0, 1.0], 1), ([1.0, 0.0], 1), ([0.0, 1.0], 1)]
    exam = Exam([Concept("a", 0, 2), Concept("b", 2, 4)], as_stream(items), 4)
    assert exam.hold(cut(model, (2,), 2)) == [100, 50]


def test_it_is_in_every_report(grouped, tmp_path):
    scored = tables.scores(grouped)
    found = json.loads(json.dumps(tables.summary(grouped, scored), allow_nan=False))["setups"]["locked"]["forgetting"]
    remembered = grouped.outcomes[0].learnt.remembered
    assert found["concepts"][1] == {"name": "classes 5, 6, 7, 8, 9", "begin": 200, "end": 400}
    assert found["backward_transfer"] == pytest.approx(remembered.backward_transfer, rel=1e-4)
    assert found["accuracy"][-1]["items"] == 600
    row = tables.rows(grouped, scored)[0]
    assert row["backward transfer"] == f"{remembered.backward_transfer:+.1f}"
    assert row["at first % (since)"].endswith(f"({-remembered.forgotten[0]:+.1f})")
    figure = picture.forgetting(grouped)
    panels = figure.axes
    assert len(panels) == len({outcome.learnt.weights_sha256 for outcome in grouped.outcomes})
    lines = [line for line in panels[0].lines if line.get_gid() != "concept"]
    assert [line.get_label() for line in lines] == [concept.name for concept in remembered.concepts]
    assert lines[0].get_ydata().tolist() == [answers[0] for _, answers in remembered.points]
    assert "What it remembers" in page.page(grouped, scored, tables.rows(grouped, scored))
    picture.draw(grouped, scored, tmp_path / "all.png")
    plain = simulated(samples=20)
    assert picture.forgetting(plain) is None
    assert "What it remembers" not in page.page(plain, tables.scores(plain), tables.rows(plain, tables.scores(plain)))


def test_rivers_generators_have_other_items_of_another_seed():
    simulation = simulated(stream="river:SEA", drift="remap@300", forgetting=True)
    assert all(outcome.learnt.remembered.forgotten[0] > 10 for outcome in simulation.outcomes)
    held_out = open_stream("river:SEA", length=50, held_out=True)
    assert not torch.equal(next(iter(held_out.first(50)))[0], torch.ones(3))
    assert [x.tolist() for x, _ in held_out] != [x.tolist() for x, _ in open_stream("river:SEA", length=50)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "forgetting needs --drift"),
        ({"drift": "noise:1@10-700", "samples": 500}, "no drift is complete before the last of 500 items: let it end"),
        ({"stream": "river:Phishing", "drift": "noise:1@100"}, "river:Phishing has no test items"),
        ({"stream": "river:Friedman", "drift": "noise:1@100"}, "the labels of river:Friedman are numbers"),
        ({"drift": "remap@100", "timing_only": True}, "with --timing-only nothing is learnt"),
    ],
)
def test_what_cannot_be_asked(options, words):
    with pytest.raises(pp.UserError, match=words):
        simulated(forgetting=True, **options)


def test_an_answer_tells_how_many_samples_had_arrived():
    reader, told = SimpleNamespace(sample=lambda number: number, answered=lambda output: None), []
    replay = Replay(reader, [0, 2, 5], answered=told.append)
    assert [replay.take(), replay.take()] == [0, 2]
    replay.answer(0, torch.zeros(1), 0.0)
    assert replay.take() == 5 and replay.take() is None
    for step in (1, 2):
        replay.answer(step, torch.zeros(1), 0.0)
    assert told == [1, 3, 6]
