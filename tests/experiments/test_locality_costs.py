"""What a rule costs here: measured through Ray once, and kept."""

import pytest

from pipepita.experiments import locality, locality_costs
from pipepita.experiments.locality_costs import measured
from pipepita.progress import silent


@pytest.mark.slow
def test_costs_are_measured_once_and_a_quick_look_is_not_taken_for_more(tmp_path, monkeypatch):
    rules = {
        ("fc", rule): locality.options("fc", "cifar10", rule, 0.001) | {"network": "fc:16"} for rule in ("bp", "drtp")
    }
    found = measured(rules, tmp_path, silent, quick=True)
    for costs in found.values():
        assert all(lock > 0 for lock in costs.lock_ms)
        assert min(costs.kept, costs.fixed, costs.one_process, costs.two_stages) > 0
    assert {rule: costs.staleness for (_, rule), costs in found.items()} == {"bp": 1, "drtp": 0}

    def refused(*args, **rounds):
        raise AssertionError("measured again")

    monkeypatch.setattr(locality_costs, "_measured", refused)
    other_rate = {place: options | {"lr": 0.01, "dataset": "mnist"} for place, options in rules.items()}
    assert measured(other_rate, tmp_path, silent, quick=True) == found
    with pytest.raises(AssertionError, match="measured again"):
        measured(rules, tmp_path, silent)
