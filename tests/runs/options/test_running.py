from pipepita.edge.scenario import Scenario
from pipepita.runs.options import learning, running
from pipepita.runs.options.group import Group
from pipepita.runs.options.job import Job, Options

GROUPS = {
    one
    for module in (learning, running)
    for one in vars(module).values()
    if isinstance(one, type) and issubclass(one, Group) and one is not Group
}


def test_no_option_is_in_two_groups():
    homes: dict[str, set[type]] = {}
    for group in GROUPS:
        for name in vars(group)["__annotations__"].keys() - {"panel"}:
            homes.setdefault(name, set()).add(group)
    assert [name for name, groups in homes.items() if len(groups) > 1] == []
    assert homes.keys() == Job.model_fields.keys()


def test_every_option_says_what_it_means_and_has_a_panel():
    for kind in (Job, Scenario):
        for name, field in kind.model_fields.items():
            assert field.description and kind.panel_of(name), name
    assert Job.panel_of("lr") == Scenario.panel_of("lr") == "Training"
    assert Scenario.panel_of("devices") == "Emulation" and Scenario.panel_of("calibrate") == "Simulation"


def test_what_train_takes_holds_neither_network_nor_data_nor_rule_nor_engine():
    job = Job(epochs=3, network="fc:8", rule="bp", window=2)
    assert job.options() == Options(epochs=3, window=2)
    assert not {"network", "dataset", "rule", "form", "engine"} & Options.model_fields.keys()
