"""Arguments of another kind are named in one line, by all that take a model and data."""

import pytest

import pipepita as pp

SHORT = {"stages": 1, "rounds": 1, "seconds": 0.01}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "fc:8"}, "the model is str: pipepita trains an nn.Sequential"),
        ({"data": 3}, "data is int: pass a pipepita.Data"),
        ({"rule": pp.Pepita}, "rule is <class .*>: pass a rule, like pipepita.Pepita"),
    ],
)
def test_what_trains_and_what_measures_refuses_the_same(digits, change, words):
    given = {"model": pp.build("fc:8", digits.item_shape, 10), "data": digits} | change
    for function, options in ((pp.train, {"epochs": 1}), (pp.latency, SHORT), (pp.plan, {})):
        with pytest.raises(pp.UserError, match=words):
            function(**given, engine=pp.LocalEngine("cpu"), **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"observer": print}, "observer is <built-in function print>: pass a pipepita.runs.listeners.Listener"),
        ({"costs": "ab"}, "costs 'ab' are not numbers: give one per layer"),
        ({"costs": 3}, "costs 3 are not numbers: give one per layer"),
        ({"engine": pp.LocalEngine}, "engine is <class .*>: pass 'ray', 'local', or an open engine"),
        ({"stop": 5}, "stop is 5: pass a function that says whether to stop"),
    ],
)
def test_other_arguments_of_train(digits, options, words):
    with pytest.raises(pp.UserError, match=words):
        pp.train(pp.build("fc:8", digits.item_shape, 10), digits, **{"engine": "local", "epochs": 1} | options)


def test_half_a_round_cannot_be_measured(digits):
    with pytest.raises(pp.UserError, match="1.5 rounds of 0.01 s"):
        pp.latency(pp.build("fc:8", digits.item_shape, 10), digits, **SHORT | {"rounds": 1.5})
