"""bp, fa and the sign-concordant rules against autograd with substituted feedback weights, for every kind of layer."""

from __future__ import annotations

import copy

import pytest
import torch
from rules.substituted import gradients
from torch import nn

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.stage import compute_mode, stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.randomness import generator, uniform
from pipepita.schedule import relaxed, streaming

SEED, LR, BATCH = 3, 0.1, 12

NETWORKS = {
    "fully connected": lambda: spec.build("fc:24x3", (1, 8, 8), 10, normal=True),
    "convolutions": lambda: spec.build("conv:6,3,1,1/pool:2/conv:5,3,2/avgpool:1/fc:12", (1, 8, 8), 10, normal=True),
    "biases, groups, padding": lambda: nn.Sequential(
        nn.Conv2d(1, 4, 4, padding="same"),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="circular"),
        nn.LeakyReLU(0.1),
        nn.Conv2d(6, 6, 3, padding=(2, 1), padding_mode="replicate", dilation=2),
        nn.GELU(),
        nn.Conv2d(6, 4, 2, stride=(2, 1), padding=1),
        nn.SiLU(),
        nn.AdaptiveMaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 20),
        nn.ELU(),
        nn.Linear(20, 10),
    ),
}


def number(model: nn.Sequential, module: nn.Module) -> int:
    return 1 + [m for m in model if isinstance(m, nn.Linear | nn.Conv2d)].index(module)


def bound(weight: torch.Tensor) -> float:
    return (6 / weight[0].numel()) ** 0.5


def feedback(rule: str, model: nn.Sequential):
    """The weights that each rule's backward pass goes through at step 0, by definition."""

    def drawn(module, purpose, *where):
        shape = tuple(module.weight.shape)
        return uniform(shape, bound(module.weight), generator(SEED, purpose, number(model, module), *where))

    return {
        "bp": lambda m: m.weight,
        "fa": lambda m: drawn(m, "feedback"),
        "usf": lambda m: m.weight.sign() * bound(m.weight) / 3**0.5,
        "brsf": lambda m: m.weight.sign() * drawn(m, "magnitudes", 0).abs(),
        "frsf": lambda m: m.weight.sign() * drawn(m, "magnitudes").abs(),
    }[rule]


RULES = {
    "bp": pp.Backprop(),
    "fa": pp.FeedbackAlignment(),
    "usf": pp.UniformSigns(),
    "brsf": pp.RandomSigns(),
    "frsf": pp.FixedSigns(),
}


def updated(model: nn.Sequential, rule, x: torch.Tensor, y: torch.Tensor, steps: int = 1) -> dict[str, torch.Tensor]:
    """The weights after `steps` samples of SGD without momentum."""
    layers = cut(model, tuple(x.shape[1:]), 10, SEED)
    task = Task(layers, 10, rule, "sgd:momentum=0", LR, SEED)
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), relaxed(), len(x)))
    for epoch in range(steps):
        Coordinator(pipeline, relaxed(), rule.passes, batch_size=len(x)).train_epoch(x, y, epoch, LR)
    return pipeline.state()[0]


@pytest.fixture
def sample(few_digits):
    return few_digits.x_train[:BATCH], few_digits.y_train[:BATCH]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("network", NETWORKS)
def test_one_step_is_autograds(sample, network, rule):
    model = NETWORKS[network]()
    spec.initialise(model, SEED)
    other = copy.deepcopy(model)
    expected = gradients(other, *sample, feedback(rule, other))
    for name, after in updated(model, RULES[rule], *sample).items():
        moved = (model.state_dict()[name].double() - after.double()) / LR
        torch.testing.assert_close(moved, expected[name], rtol=2e-3, atol=2e-5)
        assert expected[name].abs().max() > 1e-4


@pytest.mark.parametrize("rule", ["fa", "usf"])
def test_feedback_matters(sample, rule):
    """Below the output layer the updates differ from those of bp, so the comparison above can fail."""
    model = NETWORKS["fully connected"]()
    spec.initialise(model, SEED)
    true, other = updated(model, pp.Backprop(), *sample), updated(model, RULES[rule], *sample)
    *hidden, output = true
    assert torch.equal(true[output], other[output])
    assert not any(torch.allclose(true[name], other[name], atol=1e-5) for name in hidden)


@pytest.mark.parametrize("rule", [pp.UniformSigns, pp.RandomSigns, pp.FixedSigns])
def test_kept_signs_stay_and_others_do_not(sample, rule):
    model = NETWORKS["convolutions"]()
    spec.initialise(model, SEED)
    loose, strict = (updated(model, rule(keep_signs=keep), *sample, steps=20) for keep in (False, True))
    before = model.state_dict()
    assert any((before[name].sign() * after.sign() < 0).any() for name, after in loose.items())
    assert all((before[name].sign() * after.sign() >= 0).all() for name, after in strict.items())


def test_weights_that_begin_at_zero_keep_the_first_sign_that_they_get(sample):
    model = NETWORKS["fully connected"]()
    spec.initialise(model, SEED, "zero-output")
    output = [*model.state_dict()][-1]
    once, later = (updated(model, pp.UniformSigns(keep_signs=True), *sample, steps=steps)[output] for steps in (1, 20))
    assert once.any() and (once.sign() * later.sign() >= 0).all()


@pytest.mark.parametrize("rule", [pp.UniformSigns, pp.RandomSigns, pp.FixedSigns])
def test_feedback_of_the_same_norm_has_the_weights_norm_and_their_signs(rule):
    model = NETWORKS["convolutions"]()
    spec.initialise(model, SEED)
    layers = cut(model, (1, 8, 8), 10, SEED)
    weight = layers[1].parameters[0]
    plain, scaled = (rule(same_norm=same).learner(layers[1], 4, 10, SEED)._through(weight, 7) for same in (False, True))
    assert float(scaled.norm()) == pytest.approx(float(weight.norm()), rel=1e-5)
    assert float(plain.norm()) != pytest.approx(float(weight.norm()), rel=1e-3)
    assert torch.equal(scaled.sign(), weight.sign())
    torch.testing.assert_close(scaled / scaled.norm(), plain / plain.norm())


def test_in_flight_stash_goes_back_through_the_weights_of_the_standard_pass(sample):
    """Two samples in flight at layer 2: the second one's backward pass uses W from before or after the first update."""
    x = sample[0]
    deltas = {}
    for form in ("stash", "textbook"):
        model = NETWORKS["fully connected"]()
        spec.initialise(model, SEED)
        layers = cut(model, (1, 8, 8), 10, SEED)
        task = Task(layers, 10, pp.Backprop(form=form), "sgd", LR, SEED)
        stage = stages(task, [range(1), range(1, 2), range(2, 4)])[1].build()
        old = layers[1].parameters[0].clone()
        inputs, signal = x.flatten(1)[:, :24].contiguous(), torch.ones(BATCH, 24)
        with compute_mode(1):
            stage.standard(0, inputs)
            stage.standard(1, inputs)
            first = stage.second(0, signal, None)
            stage.update(0)
            deltas[form] = first, stage.second(1, signal, None)
        assert not torch.equal(old, layers[1].parameters[0])
    first, second = deltas["stash"]
    torch.testing.assert_close(first, second)
    assert not torch.allclose(*deltas["textbook"], atol=1e-6)


def test_a_stash_survives_several_updates(sample):
    """Three samples in flight at layer 2: the last one's weights were replaced twice before its backward pass."""
    model = NETWORKS["fully connected"]()
    spec.initialise(model, SEED)
    task = Task(cut(model, (1, 8, 8), 10, SEED), 10, pp.Backprop(), "sgd", LR, SEED)
    stage = stages(task, [range(1), range(1, 2), range(2, 4)])[1].build()
    inputs, signal = sample[0].flatten(1)[:, :24].contiguous(), torch.ones(BATCH, 24)
    with compute_mode(1):
        for step in range(3):
            stage.standard(step, inputs)
        sent = []
        for step in range(3):
            sent.append(stage.second(step, signal, None))
            stage.update(step)
    torch.testing.assert_close(sent[1], sent[0])
    torch.testing.assert_close(sent[2], sent[0])


def test_nothing_is_stashed_without_samples_in_flight(sample):
    x, y = sample
    layers = cut(NETWORKS["fully connected"](), (1, 8, 8), 10, SEED)
    task = Task(layers, 10, pp.Backprop(), "sgd", LR, SEED)
    for schedule, kept in ((relaxed(), 0), (streaming(4), 3)):
        pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), schedule, 4))
        counts = []
        learner = pipeline._stages[0].trainers[1].learner
        before = learner.updated
        learner.updated = lambda learner=learner, before=before, counts=counts: (
            counts.append(len(learner._stashed)),
            before(),
        )
        Coordinator(pipeline, schedule, pp.Backprop().passes, batch_size=2).train_epoch(x, y, 0, LR)
        # layer 2 of 4 has a window of 3: the weights that an update replaces were used by two more samples
        assert max(counts) == (kept - 1 if kept else 0)


def test_refuses_an_unknown_form():
    with pytest.raises(pp.UserError, match="form 'difference'"):
        pp.Backprop(form="difference")


@pytest.mark.parametrize("rule", [pp.Backprop(), pp.DirectFeedbackAlignment(feedback="learned"), pp.LocalLoss()])
def test_a_learner_keeps_nothing_of_samples_that_are_done(few_digits, rule):
    model = pp.build("fc:16x2", few_digits.item_shape, 10)
    layers = cut(model, few_digits.item_shape, 10)
    task = Task(layers, 10, rule)
    stage = stages(task, task.whole)[0].build()
    with compute_mode(1):
        for step in range(5):
            target = torch.eye(10)[few_digits.y_train[:8]]
            error = stage.standard(step, few_digits.x_train[:8], target) - target
            if len(rule.passes) == 2:
                stage.second(step, None, error)
            stage.update(step)
    kept = [item for one in stage.trainers for item in vars(one.learner).items() if isinstance(item[1], dict)]
    assert not [item for item in kept if item[1]]
