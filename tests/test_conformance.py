"""The exactness contract, one suite for every rule, network and schedule.

Given seed, schedule and window, every engine, split and transport ends with `torch.equal` weights and optimizer state;
relaxed equals locked. Dropout and momentum are on, the last batch is short, and there are two epochs, so that the
pipeline drains and fills again.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.partition import balance
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules import Rule
from pipepita.schedule import Schedule, locked, relaxed, streaming

BATCH, SEED, EPOCHS = 32, 5, 2
State = dict[str, Tensor]


def _biases_and_padding() -> nn.Sequential:
    """What the spec strings do not make: biases, padding, groups, other activations, average pooling, Dropout2d."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding="same"),
        nn.Tanh(),
        nn.Dropout2d(0.2),
        nn.AvgPool2d(2),
        nn.Conv2d(4, 6, 3, padding=1, groups=2, padding_mode="circular"),
        nn.LeakyReLU(0.1, inplace=True),
        nn.Flatten(),
        nn.Linear(6 * 4 * 4, 20),
        nn.GELU(),
        nn.Linear(20, 10),
    )


def pairs(networks, rules) -> list[tuple[str, str]]:
    """(network, rule) of all that go together: only linear layers mirror."""
    linear = ("deep", "wide")
    return [(network, rule) for network in networks for rule in rules if rule != "mirror" or network in linear]


NETWORKS = {
    "deep": lambda: spec.build("fc:48x3", (1, 8, 8), 10, dropout=0.1, normal=True),
    "wide": lambda: spec.build("fc:1024", (1, 8, 8), 10, dropout=0.1),
    "conv": lambda: spec.build("conv:6,3/pool:2/fc:24", (1, 8, 8), 10, dropout=0.1, normal=True),
    "odd": _biases_and_padding,
}
RULES = {
    "difference": pp.Pepita(),
    "textbook": pp.Pepita(form="textbook"),
    "difference, all": pp.Pepita(modulate="all"),
    "textbook, all": pp.Pepita(form="textbook", modulate="all"),
    "stash": pp.Pepita(form="stash"),
    "stash, all": pp.Pepita(form="stash", modulate="all"),
    "recompute": pp.Pepita(form="recompute"),
    "recompute, all": pp.Pepita(form="recompute", modulate="all"),
    "standard presynaptic": pp.Pepita(presynaptic="standard"),
    "own presynaptic": pp.Pepita(presynaptic="own"),
    "two-step": pp.Pepita(presynaptic="two-step", form="textbook"),
    "sign of the error": pp.Pepita(perturbation="sign"),
    "random perturbation": pp.Pepita(perturbation="random"),
    "mirror": pp.Pepita(mirror=20, modulate="all"),
    "bp": pp.Backprop(),
    "bp, today's weights": pp.Backprop(form="textbook"),
    "fa": pp.FeedbackAlignment(),
    "usf": pp.UniformSigns(),
    "brsf": pp.RandomSigns(),
    "frsf, strict": pp.FixedSigns(strict=True),
    "dfa": pp.DirectFeedbackAlignment(),
    "drtp": pp.TargetProjection(),
}
# one of each way that messages take
OVER_TCP = ("difference", "textbook, all", "recompute", "two-step", "bp", "dfa", "drtp")
NEVER_STALE = ("drtp",)
SCHEDULES = [locked(), relaxed(), streaming(2), streaming(5)]


def trained(
    engine: Engine,
    network: str,
    rule: Rule,
    schedule: Schedule,
    data: pp.Data,
    stages: int,
    optimizer: str = "sgd",
) -> tuple[State, State]:
    """(weights, optimizer state) after two epochs."""
    model = NETWORKS[network]()
    spec.initialise(model, SEED)
    layers = cut(model, data.item_shape, 10, SEED)
    parts = balance([layer.cost for layer in layers], min(stages, len(layers)))
    task = Task(layers, 10, rule, optimizer, 0.05, SEED)
    pipeline = engine.open(Plan(stages_of(task, parts), schedule, BATCH))
    try:
        coordinator = Coordinator(pipeline, schedule, rule.passes, batch_size=BATCH, seed=SEED)
        for epoch in range(1, EPOCHS + 1):
            coordinator.train_epoch(data.x_train, data.y_train, epoch, 0.05 / epoch)
            coordinator.evaluate(data.x_test, data.y_test)
        return pipeline.state()
    finally:
        pipeline.close()


def assert_equal(one: tuple[State, State], other: tuple[State, State]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        different = [key for key in a if not torch.equal(a[key], b[key])]
        assert not different


@pytest.fixture(scope="module")
def local() -> pp.LocalEngine:
    return pp.LocalEngine("cpu")


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.name}-{s.window}")
@pytest.mark.parametrize(("network", "rule"), pairs(NETWORKS, RULES))
def test_local_splits_agree(local, few_digits, network, rule, schedule):
    whole = trained(local, network, RULES[rule], schedule, few_digits, 1)
    assert all(bool(torch.isfinite(value).all()) for value in whole[0].values())
    for stages in (2, 4):
        assert_equal(whole, trained(local, network, RULES[rule], schedule, few_digits, stages))


@pytest.mark.parametrize(("network", "rule"), pairs(NETWORKS, RULES))
def test_relaxed_equals_locked_and_windows_differ(local, few_digits, network, rule):
    """Relaxing the lock changes nothing; streaming does, so the comparison can tell runs apart."""
    base = trained(local, network, RULES[rule], locked(), few_digits, 1)
    assert_equal(base, trained(local, network, RULES[rule], relaxed(), few_digits, 1))
    stale = trained(local, network, RULES[rule], streaming(2), few_digits, 1)
    if rule in NEVER_STALE:
        assert_equal(base, stale)
    else:
        assert not any(torch.equal(base[0][key], stale[0][key]) for key in base[0])


@pytest.mark.parametrize(
    ("transport", "network", "rule"),
    [("shared_memory", *pair) for pair in pairs(NETWORKS, RULES)]
    + [("tcp", *pair) for pair in pairs(NETWORKS, OVER_TCP)],
)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s.name}-{s.window}")
def test_ray_agrees_with_local(local, ray_engine, few_digits, network, rule, schedule, transport):
    expected = trained(local, network, RULES[rule], schedule, few_digits, 1)
    ray_engine.transport = transport
    for stages in (1, 2, 3):
        assert_equal(expected, trained(ray_engine, network, RULES[rule], schedule, few_digits, stages))


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0", "adam", "sgd:momentum=0.9,nesterov=true", "rmsprop"])
def test_optimizer_state_agrees(local, ray_engine, few_digits, optimizer):
    ray_engine.transport = None
    expected = trained(local, "conv", pp.Pepita(), streaming(3), few_digits, 1, optimizer)
    assert_equal(expected, trained(ray_engine, "conv", pp.Pepita(), streaming(3), few_digits, 3, optimizer))


def test_digest_is_the_same_from_every_engine(few_digits, ray_engine):
    """The user's own path: `train` with an engine by name, by split, and one that is kept open."""
    digests = set()
    for engine, stages in (("local", None), ("local", 2), (ray_engine, 2), (ray_engine, 3)):
        model = spec.build("fc:48x2", few_digits.item_shape, 10, dropout=0.1)
        result = pp.train(
            model, few_digits, engine=engine, stages=stages, schedule="streaming", window=3, epochs=2, batch_size=BATCH
        )
        digests.add(result.weights_sha256)
    assert len(digests) == 1
