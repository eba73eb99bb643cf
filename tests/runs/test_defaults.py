"""A person's first network learns with any rule and no other option, and the run says what was chosen."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

import pipepita as pp
from pipepita.network.spec import hidden_layers
from pipepita.rules import BUILT_IN
from pipepita.runs.advice import DivergenceWarning, advice
from pipepita.runs.display import in_words
from pipepita.runs.listeners import Listener
from pipepita.runs.options.job import Job

CHANCE = 10


def trained(data: pp.Data, schedule: str, **choices) -> pp.Result:
    """Trains as `pipepita train` does, in this process."""
    job = Job(schedule=schedule, engine="local", **choices)
    options = job.options().model_dump()
    return pp.train(job.model(data), data, rule=job.make_rule(), engine="local", normalize=False, **options)


NETWORKS = ("fc:64x3", "fc:256x4", "fc:64x16", "conv:16,3/pool:2/conv:32,3", "conv:16,3,1,1x4/fc:64")
HARDER = ("streaming", "relaxed")  # the first is the harder one
LONG = ("gevb", "dni", "fc:256x4", "conv:16,3,1,1x4/fc:64")  # they take up to half a minute


def each(names: Iterable[str]) -> list[Any]:
    """(name, schedule): everything in the harder schedule; with --all in both."""
    return [
        pytest.param(name, schedule, marks=[pytest.mark.rest] if schedule != HARDER[0] or name in LONG else [])
        for name in names
        for schedule in HARDER
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "schedule"), each(BUILT_IN))
def test_every_rule_learns(digits, rule, schedule):
    assert trained(digits, schedule, rule=rule).test_accuracy >= 90


@pytest.mark.slow
@pytest.mark.parametrize(("network", "schedule"), each(NETWORKS))
def test_every_network_learns(digits, network, schedule):
    assert trained(digits, schedule, network=network).test_accuracy >= 90


def test_what_was_chosen_is_said(few_digits):
    one = trained(few_digits, "relaxed", network="fc:16", epochs=1).summary
    assert (one["normalize"], one["lr"], one["rule_options"]["modulate"]) == (False, 0.1, "input")
    assert one["rule_options"]["f_scale"] == 0.05
    assert (one["rule_options"]["feedback"], one["look_ahead"]) == ("fixed", "off")
    deep = trained(few_digits, "streaming", network="fc:16x9", epochs=1).summary
    assert (deep["normalize"], deep["lr"], deep["rule_options"]["modulate"]) == (True, 0.05, "all")
    assert (deep["rule_options"]["f_scale"], deep["window"]) == (0.1, 4)
    assert (deep["rule_options"]["feedback"], deep["look_ahead"]) == ("learned", "on")
    words = in_words(deep)
    assert all(part in words for part in ("pepita", "modulate=all", "normalized", "lr 0.05", "streaming, window 4"))


def test_an_explicit_option_wins(few_digits):
    summary = trained(
        few_digits, "streaming", network="fc:16x9", rule="pepita:modulate=input,f_scale=0.2", normalize=False, lr=0.001,
        window=6, optimizer="adam", epochs=1,
    ).summary  # fmt: skip
    assert (summary["normalize"], summary["lr"], summary["window"], summary["optimizer"]) == (False, 0.001, 6, "adam")
    assert (summary["rule_options"]["modulate"], summary["rule_options"]["f_scale"]) == ("input", 0.2)
    tanh = Job(rule="drtp", network="fc:16").model(few_digits)
    relu = Job(rule="drtp", network="fc:16", activation="relu").model(few_digits)
    assert "Tanh" in str(tanh) and "Tanh" not in str(relu)


def test_a_model_of_ones_own_is_normalised_if_it_has_two_hidden_layers(few_digits):
    model = pp.build("fc:16x2", few_digits.item_shape, 10)
    pp.train(model, few_digits, engine="local", epochs=1)
    assert str(model).count("RMSNorm") == 2
    shallow = pp.build("fc:16", few_digits.item_shape, 10)
    pp.train(shallow, few_digits, engine="local", epochs=1)
    assert "RMSNorm" not in str(shallow)
    with pytest.raises(pp.UserError, match="unknown normalize 'yes'"):
        pp.train(model, few_digits, engine="local", normalize="yes")


def test_a_model_with_another_inside_is_left_as_it_is_and_warned_of(few_digits):
    inside = pp.build("fc:16x2", few_digits.item_shape, 10)
    model = pp.build("fc:16", few_digits.item_shape, 10)
    del model[-1]
    model.append(inside[1:])
    inside[1] = type(inside[1])(16, 16)
    model[-1][0] = inside[1]
    with pytest.warns(UserWarning, match="is an nn.Sequential inside the model"):
        pp.train(model, few_digits, engine="local", epochs=1)
    assert "RMSNorm" not in str(model)


def test_a_run_that_diverged_says_what_to_change(few_digits):
    model = pp.build("fc:16x3", few_digits.item_shape, 10)
    with pytest.raises(pp.Diverged) as error:
        pp.train(
            model, few_digits, rule=pp.Pepita(modulate="input"), engine="local", normalize=False, lr=1e9,
            schedule="streaming", window=2,
        )  # fmt: skip
    words = "try normalize, pepita:modulate=all, a lower lr than 1e+09 or a smaller window than 2"
    assert words in str(error.value)


@dataclass(frozen=True, kw_only=True)
class Needs(pp.DirectFeedbackAlignment):
    """A rule with an option that has no default."""

    scale: float


def test_advice_for_a_rule_whose_options_have_no_defaults():
    assert advice(Needs(scale=1.0), 3, normalized=True, lr=0.1, window=1) == "a lower lr than 0.1"


def test_a_run_that_is_about_to_diverge_is_warned_of_once():
    said = []

    class Heard(Listener):
        def warn(self, text):
            said.append(text)

    words = advice(pp.Backprop(), 2, normalized=False, lr=0.1, window=1)
    assert words == "a lower lr than 0.1"
    warning = DivergenceWarning(Heard(), 10, words)
    for epoch, loss in enumerate([14.9, 2.9, 4.0, 5.1, 9.0, None], 1):  # high at first, but falling, is no sign
        warning.epoch_ends({"epoch": epoch, "train_loss": loss})
    assert len(said) == 1
    assert "rose to 5.1 in epoch 4" in said[0] and words in said[0]


def test_hidden_layers_are_counted():
    assert hidden_layers("conv:16,3/pool:2/conv:32,3/fc:64x2") == 4
