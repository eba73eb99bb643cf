import pytest

import pipepita as pp
from pipepita.edge.scenario import Scenario
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import checked


def test_no_option_that_a_scenario_has_is_refused():
    values = Scenario(rate=5.0).model_dump()
    assert checked(Scenario, values).model_dump() == values


@pytest.mark.parametrize("name", sorted(Job.model_fields.keys() - Scenario.model_fields.keys()))
def test_an_option_of_train_is_unknown_and_the_error_says_whose_it_is(name):
    words = f"^option '{name}' is an option of train and has no meaning for a simulation$"
    with pytest.raises(pp.UserError, match=words):
        checked(Scenario, {name: getattr(Job(), name)})


def test_an_option_of_nobody_is_unknown():
    with pytest.raises(pp.UserError, match=r"^unknown option 'strem': did you mean 'stream'\? It is one of "):
        checked(Scenario, {"strem": "digits"})


def test_a_scenario_learns_items_one_by_one():
    scenario = checked(Scenario, {})
    assert (scenario.batch_size, scenario.dropout, scenario.lr) == (1, 0.0, 0.002)
    assert scenario.devices == "rpi4*2"
