import threading

import pytest
import torch

import pipepita as pp
from pipepita.live.counts import Counts
from pipepita.runs.store.checkpoint import weights_sha256
from pipepita.streams import ClassPrequential, open_stream


@pytest.fixture
def model(digits):
    model = pp.build("fc:24", digits.item_shape, 10)
    pp.initialise(model, 1)
    return model


@pytest.fixture
def pairs(digits):
    return list(zip(digits.x_train[:400], digits.y_train[:400].tolist(), strict=True))


def test_predictions_are_made_before_the_label_is_used(model, pairs):
    """By hand: forward, count, update. With one sample in flight the order leaves no choice."""
    counts = Counts(ClassPrequential())
    predictions = list(pp.online(model, pairs, lr=0.01, schedule="relaxed", counts=counts))
    first = pp.build("fc:24", (1, 8, 8), 10)
    pp.initialise(first, 1)
    assert torch.allclose(predictions[0].probabilities, first(pairs[0][0][None]).softmax(1)[0], atol=1e-6)
    right = [one.prediction == y for one, (_, y) in zip(predictions, pairs, strict=True)]
    assert counts.score.accuracy == pytest.approx(100 * sum(right) / len(right))
    assert [one.id for one in predictions] == list(range(400)) and counts.learnt == 400
    assert sum(right[200:]) > sum(right[:200])


def test_feedback_is_aligned_at_the_start(pairs):
    """Of a window of one, a stream's samples are those of an epoch in their order."""
    digests = set()
    for options in ({"feedback": "fixed"}, {"feedback": "fixed", "mirror": 20}, {"feedback": "product"}):
        model = pp.build("fc:24x2", (1, 8, 8), 10)
        pp.initialise(model, 1)
        list(pp.online(model, pairs[:40], rule=pp.Pepita(modulate="all", **options), lr=0.01))
        digests.add(weights_sha256(model.state_dict()))
    assert len(digests) == 3
    with pytest.raises(pp.UserError, match="align_every 5: in a stream feedback is aligned once"):
        pp.online(model, pairs, rule=pp.Pepita(modulate="all", feedback="product", refresh=5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"engine": 3}, "engine is 3: pass 'ray', 'local', or an open engine"),
        ({"rule": "bp"}, "rule is 'bp': pass a rule"),
        ({"observer": print}, "observer is <built-in function print>"),
        ({"epochs": 3}, "epochs 3 means nothing online"),
        ({"run_dir": "somewhere"}, "run_dir 'somewhere' means nothing online"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(model, pairs, options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.online(model, pairs, classes=10, **options)


def test_an_iterator_that_is_left_ends_its_thread(model, pairs):
    predictions = pp.online(model, pairs)
    assert next(predictions).id == 0
    predictions.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pipepita")]


def test_streams_batches_and_other_rules(model, digits):
    stream = open_stream("digits", drift="remap@300", length=600)
    predictions = list(pp.online(model, stream, rule=pp.LocalLoss(), lr=0.01, batch_size=8))
    assert [one.id for one in predictions] == list(range(600))


def test_mistakes_are_said_at_once_and_bad_items_when_they_come(model, pairs):
    with pytest.raises(pp.UserError, match="unknown schedule 'fast'"):
        pp.online(model, pairs, schedule="fast")
    with pytest.raises(pp.UserError, match="classes"):
        pp.online(model, iter(pairs))
    with pytest.raises(pp.UserError, match=r"stream\[2\] has shape \(3,\)"):
        list(pp.online(model, [*pairs[:2], ([1.0, 2.0, 3.0], 1)], classes=10))


def test_actors_follow_the_same_order(ray_engine, model, pairs):
    predictions = list(pp.online(model, pairs[:60], engine=ray_engine, stages=2, schedule="streaming", window=2))
    local = pp.build("fc:24", (1, 8, 8), 10)
    pp.initialise(local, 1)
    others = list(pp.online(local, pairs[:60], stages=1, schedule="streaming", window=2))
    for one, other in zip(predictions, others, strict=True):
        assert one.id == other.id and torch.equal(one.probabilities, other.probabilities)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), local.parameters(), strict=True))
