"""The rule against a plain transcription of its equations (`reference`), run by the real coordinator in one process."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from reference import Reference

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.randomness import generator
from pipepita.rules.projection import PERTURBATIONS
from pipepita.rules.rule import Reads
from pipepita.schedule import MODULATED, STANDARD, Schedule

BATCH, LR, MOMENTUM, SEED = 32, 0.05, 0.9, 3


def run(spec: str, rule: pp.Pepita, data: pp.Data, window: int, normalize: bool) -> tuple[list[np.ndarray], Reference]:
    """One epoch in pipepita; the reference, ready to run the same epoch."""
    model = pp.build(spec, data.item_shape, 10, normal=normalize)
    pp.initialise(model, SEED)
    layers = cut(model, data.item_shape, 10, SEED)
    feedback = {}
    for layer in layers:
        learner = rule.learner(layer, len(layers), 10, SEED)
        for matrix in learner.fixed().values():
            feedback[layer.number - 1] = matrix.numpy()
    described = [
        {"w": layer.parameters[0].numpy().copy(), "pool": 2 if layer.pools and "pool" in spec else None}
        for layer in layers
    ]
    described[-1]["pool"] = None
    reference = Reference(
        described, feedback, lr=LR, momentum=MOMENTUM, form=rule.form, modulate=rule.modulate,
        presynaptic=rule.presynaptic, sign=rule.perturbation == "sign", normalize=normalize,
    )  # fmt: skip
    task = Task(layers, 10, rule, "sgd", LR, SEED)
    schedule = Schedule("test", window)
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), schedule, BATCH))
    Coordinator(pipeline, schedule, rule.passes, batch_size=BATCH, seed=SEED).train_epoch(
        data.x_train, data.y_train, 1, LR
    )
    weights = pipeline.state().weights
    return [w.numpy() for w in weights.values()], reference


def batches(data: pp.Data) -> list[tuple[np.ndarray, np.ndarray]]:
    order = torch.randperm(len(data.x_train), generator=generator(SEED, "shuffle", 1))
    return [(data.x_train[i].numpy(), data.y_train[i].numpy()) for i in order.split(BATCH)]


CASES = [
    ("fc:40", window, form, "input", "modulated", False)
    for window, form in itertools.product((1, 2, 4), ("difference", "textbook"))
] + [
    ("fc:40", 1, "difference", "input", "standard", False),
    ("fc:40", 3, "textbook", "input", "standard", False),
    ("fc:30x3", 1, "difference", "all", "modulated", True),
    ("fc:30x3", 3, "difference", "all", "modulated", True),
    ("fc:30x3", 2, "textbook", "all", "modulated", True),
    ("fc:30x3", 2, "difference", "input", "modulated", True),
    ("fc:30x3", 2, "textbook", "input", "modulated", True),
    ("conv:4,3/pool:2", 1, "difference", "input", "modulated", False),
    ("conv:4,3/pool:2", 2, "difference", "input", "modulated", False),
    ("conv:4,3/pool:2", 1, "textbook", "input", "modulated", False),
    ("conv:4,3/pool:2/fc:20", 2, "difference", "all", "modulated", True),
    ("conv:4,3/pool:2/fc:20", 1, "textbook", "all", "standard", True),
]
for form in ("stash", "recompute"):
    CASES += [
        ("fc:40", 3, form, "input", "modulated", False),
        ("fc:40", 3, form, "input", "standard", False),
        ("fc:30x3", 3, form, "input", "modulated", True),
        ("fc:30x3", 3, form, "all", "modulated", True),
        ("fc:30x3", 3, form, "all", "standard", True),
        ("conv:4,3/pool:2/fc:20", 3, form, "input", "modulated", True),
        ("conv:4,3/pool:2/fc:20", 3, form, "all", "modulated", True),
    ]


CASES += [
    (spec, window, form, modulate, presynaptic, spec != "fc:40")
    for spec, modulate in (("fc:40", "input"), ("fc:30x3", "all"), ("conv:4,3/pool:2/fc:20", "input"))
    for window, form in ((1, "difference"), (3, "difference"), (2, "textbook"), (2, "stash"))
    for presynaptic in ("own", "two-step")
]


@pytest.mark.parametrize(("spec", "window", "form", "modulate", "presynaptic", "normalize"), CASES)
def test_agrees_with_the_equations(few_digits, spec, window, form, modulate, presynaptic, normalize):
    rule = pp.Pepita(form=form, modulate=modulate, presynaptic=presynaptic, f_scale=1.0)
    trained, reference = run(spec, rule, few_digits, window, normalize)
    before = [layer["w"].copy() for layer in reference.layers]
    reference.run(batches(few_digits), window)
    for ours, theirs, start in zip(trained, reference.layers, before, strict=True):
        moved = np.abs(theirs["w"] - start).max()
        assert moved > 1e-3  # if nothing moved, agreement would mean nothing
        np.testing.assert_allclose(ours, theirs["w"], atol=2e-5 + 1e-4 * moved)


@pytest.mark.parametrize(("window", "form"), [(1, "difference"), (3, "difference"), (2, "textbook")])
@pytest.mark.parametrize("modulate", ["input", "all"])
def test_the_sign_of_the_error(few_digits, window, form, modulate):
    rule = pp.Pepita(form=form, modulate=modulate, perturbation="sign", f_scale=3.0)
    trained, reference = run("fc:30x2", rule, few_digits, window, True)
    reference.run(batches(few_digits), window)
    other, _ = run("fc:30x2", pp.Pepita(form=form, modulate=modulate, f_scale=3.0), few_digits, window, True)
    for ours, theirs, unsigned in zip(trained, reference.layers, other, strict=True):
        np.testing.assert_allclose(ours, theirs["w"], atol=1e-4)
        assert np.abs(ours - unsigned).max() > 1e-2


def test_a_random_perturbation_has_the_range_of_f_and_ignores_the_error(few_digits):
    layers = cut(pp.build("fc:40", few_digits.item_shape, 10), few_digits.item_shape, 10)
    noise = PERTURBATIONS["random"](layers[0], 10, 0.25, SEED)
    drawn = noise(7, torch.ones(64, 10))
    assert drawn.shape == (64, 64)
    assert torch.equal(drawn, noise(7, torch.zeros(64, 10)))
    assert not torch.equal(drawn, noise(8, torch.ones(64, 10)))
    assert 0.24 < float(drawn.max()) <= 0.25
    assert -0.25 <= float(drawn.min()) < -0.24
    assert not pp.Pepita(perturbation="random").learner(layers[0], 2, 10, SEED).fixed()


def test_batch_of_one_takes_the_other_way_through_the_projection(few_digits):
    """With at most as many items as classes, F e is computed first; with more items, W F is."""
    data = pp.Data(few_digits.x_train[:12], few_digits.y_train[:12], few_digits.x_test, few_digits.y_test, 10)
    for spec in ("fc:40", "conv:4,3/pool:2"):
        model = pp.build(spec, data.item_shape, 10)
        pp.initialise(model, 0)
        products = {}
        for size in (12, 1):
            layer = cut(model, data.item_shape, 10)[0]
            learner = pp.Pepita().learner(layer, 2, 10, 0)
            error = torch.linspace(-1, 1, 120).view(12, 10)
            single = []
            for start in range(0, 12, size):
                part = slice(start, start + size)
                learner.standard(start, data.x_train[part])
                learner.second(start, None, error[part])
                single.append(learner.product(start))
            products[size] = [torch.cat([getattr(p, key) for p in single]) for key in ("post", "pre")]
        for whole, joined in zip(products[12], products[1], strict=True):
            torch.testing.assert_close(whole, joined, atol=1e-5, rtol=1e-4)


def test_textbook_and_difference_agree_at_window_one(few_digits):
    one, _ = run("conv:4,3/pool:2/fc:20", pp.Pepita(form="textbook"), few_digits, 1, False)
    other, _ = run("conv:4,3/pool:2/fc:20", pp.Pepita(form="difference"), few_digits, 1, False)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_feedback_has_the_papers_range():
    layer = cut(pp.build("fc:50", (64,), 10), (64,), 10)[0]
    feedback = pp.Pepita(f_scale=0.05).learner(layer, 2, 10, 0).fixed()["0.feedback"]
    bound = 0.05 * (6 / 64) ** 0.5
    assert feedback.shape == (10, 64)
    assert feedback.abs().max() <= bound
    assert feedback.std() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_signs_which_are_larger_than_errors_enter_through_a_tenth_of_f():
    layer = cut(pp.build("fc:50", (64,), 10), (64,), 10)[0]
    whole, tenth = (
        pp.Pepita(perturbation=perturbation).learner(layer, 2, 10, 0).fixed()["0.feedback"]
        for perturbation in ("error", "sign")
    )
    torch.testing.assert_close(tenth, 0.1 * whole)


@pytest.mark.parametrize("perturbation", ["error", "sign", "random"])
def test_layers_of_one_width_have_feedback_of_their_own(perturbation):
    layers = cut(pp.build("fc:30x3", (30,), 10), (30,), 10)
    error = torch.rand(4, 10)
    first, *others = (PERTURBATIONS[perturbation](layer, 10, 0.1, 0)(0, error) for layer in layers)
    assert all(not torch.equal(first, other) for other in others)


def test_reads_says_who_needs_the_error():
    chain, broadcast = pp.Pepita(), pp.Pepita(modulate="all")
    assert [chain.reads(MODULATED, n, 3) for n in (1, 2, 3)] == [
        Reads(signal=True),
        Reads(upstream=True),
        Reads(upstream=True, signal=True),
    ]
    assert [broadcast.reads(MODULATED, n, 3) for n in (1, 2, 3)] == [Reads(signal=True)] * 3
    assert chain.reads(STANDARD, 2, 3) == Reads(upstream=True)


def test_recompute_needs_the_clean_pass_from_below_at_every_layer():
    chain, broadcast = pp.Pepita(form="recompute"), pp.Pepita(form="recompute", modulate="all")
    assert [chain.reads(MODULATED, n, 3) for n in (1, 2, 3)] == [
        Reads(signal=True),
        Reads(upstream=True),
        Reads(upstream=True, signal=True),
    ]
    assert [broadcast.reads(MODULATED, n, 3) for n in (1, 2, 3)] == [
        Reads(signal=True),
        Reads(upstream=True, signal=True),
        Reads(upstream=True, signal=True),
    ]
    assert (chain.rows, broadcast.rows, pp.Pepita().rows, pp.Pepita(form="stash").rows) == (2, 1, 1, 1)


@pytest.mark.parametrize(
    ("option", "value"),
    [("form", "differences"), ("modulate", "some"), ("presynaptic", "clean"), ("f_scale", float("nan"))],
)
def test_refuses_what_it_does_not_know(option, value):
    with pytest.raises(pp.UserError, match=f"{option}.*{value}"):
        pp.Pepita(**{option: value})
