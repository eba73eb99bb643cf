"""The exactness contract: one suite for every rule, network and schedule.

For a given seed, schedule and window, every engine, split and transport ends with `torch.equal` weights and optimizer
state, and relaxed equals locked. Dropout and momentum are on, and the last batch is short. There are two epochs, so
that the pipeline empties and fills again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

import pipepita as pp
from pipepita.network import spec
from pipepita.network.cut import cut
from pipepita.network.partition import balance
from pipepita.network.vectorized import vectorized
from pipepita.pipeline.coordinator import Coordinator
from pipepita.pipeline.engine import Engine
from pipepita.pipeline.source import Stored, shuffled
from pipepita.pipeline.stage import stages as stages_of
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.rules import Rule
from pipepita.schedule import Schedule, adaptive, decisions, locked, relaxed, streaming

BATCH, SEED, EPOCHS = 32, 5, 2
LOCAL = pp.LocalEngine("cpu")
Tensors = dict[str, Tensor]


def _biases_and_padding() -> nn.Sequential:
    """What spec strings cannot express: biases, padding, groups, other activations, average pooling, Dropout2d."""
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


def _normalisations() -> nn.Sequential:
    """Before and behind the activation and the pooling, of batches and of items, with and without scales."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, 3, padding=1),
        nn.GroupNorm(2, 8),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.RMSNorm((8, 2, 2)),
        nn.Flatten(),
        nn.Linear(32, 20, bias=False),
        nn.BatchNorm1d(20, affine=False, momentum=None),
        nn.ReLU(),
        nn.LayerNorm(20),
        nn.Linear(20, 10),
    )


NETWORKS = {
    "deep": lambda: spec.build("fc:48x3", (1, 8, 8), 10, dropout=0.1, normal=True),
    "wide": lambda: spec.build("fc:1024", (1, 8, 8), 10, dropout=0.1),
    "conv": lambda: spec.build("conv:6,3/pool:2/fc:24", (1, 8, 8), 10, dropout=0.1, normal=True),
    "vectorised": lambda: vectorized(spec.build("conv:4,3/pool:2/fc:6", (1, 8, 8), 10, normal=True), 10),
    "odd": _biases_and_padding,
    "normalised": _normalisations,
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
    "product": pp.Pepita(feedback="product", orthogonal=3, presynaptic="standard"),
    "learned": pp.Pepita(feedback="learned"),
    "learned, all": pp.Pepita(feedback="learned", modulate="all", feedback_rate=0.5),
    "learned, recompute": pp.Pepita(feedback="learned", modulate="all", form="recompute"),
    "learned, sent compared": pp.Pepita(feedback="learned", modulate="all", compare="sent"),
    "recompute, sent compared": pp.Pepita(compare="sent", form="recompute"),
    "local error": pp.Pepita(error="local"),
    "bp": pp.Backprop(),
    "bp, today's weights": pp.Backprop(form="textbook"),
    "fa": pp.FeedbackAlignment(),
    "usf": pp.UniformSigns(),
    "brsf": pp.RandomSigns(),
    "frsf, norm and signs kept": pp.FixedSigns(same_norm=True, keep_signs=True),
    "dfa": pp.DirectFeedbackAlignment(),
    "dfa, learned": pp.DirectFeedbackAlignment(feedback="learned"),
    "drtp": pp.TargetProjection(),
    "gevb": pp.ErrorVectors(),
    "dni": pp.SyntheticGradients(),
    "local, pred": pp.LocalLoss(),
    "local, predsim": pp.LocalLoss(loss="predsim"),
}
NUMBERS_IN_ACTORS = ("difference", "learned, all", "local error", "bp", "dfa, learned", "gevb", "dni", "local, pred")
NEVER_STALE = ("local error", "drtp", "local, pred", "local, predsim")


class Order(NamedTuple):
    """A schedule, and whether standard passes use predicted weights. decided: what an adaptive one is to do."""

    schedule: Schedule
    look_ahead: bool = False
    decided: str = ""


ORDERS = {
    "locked": Order(locked()),
    "relaxed": Order(relaxed()),
    "streaming-2": Order(streaming(2)),
    "streaming-5": Order(streaming(5)),
    "streaming-3, ahead": Order(streaming(3), look_ahead=True),
    # an epoch has five samples: S0 M0 S1 S2 S3 M1 S4 M2 M3 M4
    "adaptive-3": Order(adaptive(3), decided="1011101000"),
}


def together(network: str, rule: str, **others: object) -> bool:
    """Whether the rule can train the network: only linear layers can mirror, and have a product."""
    if rule == "gevb":
        return network in ("deep", "vectorised")  # the others have no counterpart, or are more of the same
    if network == "vectorised":
        return rule in ("difference", "learned, all", "bp", "dfa")
    return rule not in ("mirror", "product") or network in ("deep", "wide")


def trained(
    engine: Engine,
    network: str,
    rule: Rule,
    order: Order,
    data: pp.Data,
    stages: int,
    optimizer: str = "sgd",
) -> tuple[Tensors, Tensors]:
    """(weights, optimizer state) after two epochs."""
    model = rule.network(NETWORKS[network](), 10)
    spec.initialise(model, SEED)
    layers = cut(model, data.item_shape, 10, SEED, regression=data.regression)
    parts = balance([layer.cost for layer in layers], min(stages, len(layers)))
    task = Task(layers, 10, rule, optimizer, 0.05, SEED, look_ahead=order.look_ahead)
    pipeline = engine.open(Plan(stages_of(task, parts), order.schedule, BATCH))
    try:
        coordinator = Coordinator(pipeline, order.schedule, rule.passes, batch_size=BATCH, seed=SEED)
        for epoch in range(1, EPOCHS + 1):
            coordinator.align(epoch)
            source = Stored(data.x_train, data.y_train, shuffled(len(data.x_train), SEED, epoch), BATCH)
            coordinator.train(source, 0.05 / epoch, order=decisions.Order(bit == "1" for bit in order.decided))
            coordinator.evaluate(data.x_test, data.y_test)
        return pipeline.state()
    finally:
        pipeline.close()


def assert_equal(one: tuple[Tensors, Tensors], other: tuple[Tensors, Tensors]) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        different = [key for key in a if not torch.equal(a[key], b[key])]
        assert not different


def assert_all_differ(one: Tensors, other: Tensors) -> None:
    """Every weight and statistic differs. How many batches a normalisation has seen does not, and gates never learn."""
    equal = [key for key in one if torch.equal(one[key], other[key])]
    assert not [key for key in equal if not key.endswith(("num_batches_tracked", ".signs"))]


@pytest.fixture(scope="module")
def expected(few_digits) -> Callable[[str, str, str], tuple[Tensors, Tensors]]:
    """(weights, optimizer state) of a whole network in one stage in this process, by network, rule and schedule."""
    return cache(lambda network, rule, schedule: trained(LOCAL, network, RULES[rule], ORDERS[schedule], few_digits, 1))


@pytest.mark.crossed({"network": NETWORKS, "rule": RULES, "schedule": ORDERS, "stages": (2, 4)}, allowed=together)
def test_local_splits_agree(expected, few_digits, network, rule, schedule, stages):
    whole = expected(network, rule, schedule)
    assert all(bool(torch.isfinite(value).all()) for value in whole[0].values())
    assert_equal(whole, trained(LOCAL, network, RULES[rule], ORDERS[schedule], few_digits, stages))


@pytest.mark.slow
@pytest.mark.crossed(
    {"network": NETWORKS, "rule": RULES}, allowed=together, fewer={"network": ("deep", "conv", "normalised")}
)
def test_relaxed_equals_locked_and_windows_differ(expected, network, rule):
    """Relaxing the lock changes nothing. Samples in flight do, which shows that the comparison can fail."""
    locked_run, relaxed_run, *stale_runs = (
        expected(network, rule, schedule) for schedule in ("locked", "relaxed", "streaming-2", "adaptive-3")
    )
    assert_equal(locked_run, relaxed_run)
    for stale_run in stale_runs:
        if rule in NEVER_STALE:
            assert_equal(locked_run, stale_run)
        else:
            assert_all_differ(locked_run[0], stale_run[0])


@pytest.mark.long
@pytest.mark.crossed(
    {
        "network": NETWORKS,
        "rule": RULES,
        "schedule": ORDERS,
        "stages": (1, 2, 3),
        "transport": ("shared_memory", "tcp", "tls"),
    },
    allowed=together,
    fewer={  # in one process every rule meets every network and every order
        "network": ("deep", "conv", "normalised"),
        "schedule": ("locked", "streaming-5", "streaming-3, ahead", "adaptive-3"),
    },
)
def test_ray_agrees_with_local(ray_engine, expected, few_digits, network, rule, schedule, stages, transport):
    ray_engine.transport = transport
    in_actors = trained(ray_engine, network, RULES[rule], ORDERS[schedule], few_digits, stages)
    assert_equal(expected(network, rule, schedule), in_actors)


@pytest.fixture(scope="module")
def numbers(few_digits) -> pp.Data:
    """The few digits, of each of which ten numbers are to be predicted."""
    source = torch.Generator().manual_seed(SEED)
    y_train, y_test = (
        torch.eye(10)[y] + 0.1 * torch.randn(len(y), 10, generator=source)
        for y in (few_digits.y_train, few_digits.y_test)
    )
    return pp.Data(few_digits.x_train, y_train, few_digits.x_test, y_test, name="numbers")


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "drtp"])
def test_numbers_agree(ray_engine, expected, numbers, rule, every_case):
    """Networks that predict numbers keep the contract, and end with other bits than those that predict classes."""
    ray_engine.transport, network, order = None, "deep", "streaming-3, ahead"
    whole = trained(LOCAL, network, RULES[rule], ORDERS[order], numbers, 1)
    assert all(bool(torch.isfinite(value).all()) for value in whole[0].values())
    assert_equal(whole, trained(LOCAL, network, RULES[rule], ORDERS[order], numbers, 4))
    if rule in NUMBERS_IN_ACTORS or every_case:
        assert_equal(whole, trained(ray_engine, network, RULES[rule], ORDERS[order], numbers, 2))
    *_, output_layer = whole[0]
    assert not torch.equal(whole[0][output_layer], expected(network, rule, order)[0][output_layer])


@pytest.mark.parametrize("optimizer", ["sgd:momentum=0", "adam", "sgd:momentum=0.9,nesterov=true", "rmsprop"])
def test_optimizer_state_agrees(ray_engine, few_digits, optimizer):
    ray_engine.transport, order = None, Order(streaming(3), look_ahead=True)
    whole = trained(LOCAL, "conv", pp.Pepita(), order, few_digits, 1, optimizer)
    assert_equal(whole, trained(ray_engine, "conv", pp.Pepita(), order, few_digits, 3, optimizer))


def test_digest_is_the_same_from_every_engine(few_digits, ray_engine):
    """What users call: `train` with an engine by name, in several stages, and with an engine that is kept open."""
    digests = set()
    for engine, stages in (("local", None), ("local", 2), (ray_engine, 2), (ray_engine, 3)):
        model = spec.build("fc:48x2", few_digits.item_shape, 10, dropout=0.1)
        result = pp.train(
            model, few_digits, engine=engine, stages=stages, schedule="streaming", window=3, epochs=2, batch_size=BATCH
        )
        digests.add(result.weights_sha256)
    assert len(digests) == 1
