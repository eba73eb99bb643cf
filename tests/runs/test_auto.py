"""`stages="auto"`: what is chosen, that it is written down, and that it decides no bit."""

from __future__ import annotations

import json

import pytest

import pipepita as pp
from pipepita.network.partition import balance
from pipepita.planning import survey
from pipepita.planning.predict import Measured, Terms, predict
from pipepita.runs.listeners import Listener
from pipepita.schedule.world import Cost

OPTIONS = {"epochs": 2, "batch_size": 16, "schedule": "streaming", "window": 2, "lr": 0.02}


def model(data: pp.Data):
    return pp.build("fc:16x2", data.item_shape, data.classes, dropout=0.1)


def measured(costs: list[Cost], alone: float, cores: int) -> Measured:
    one, two = (Terms(balance([cost.total for cost in costs], stages), costs, costs) for stages in (1, 2))
    return Measured(alone, cores, one, two)


class Heard(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def prepares(self, text: str) -> None:
        self.lines.append(text)

    chose = prepares


@pytest.fixture(scope="module")
def local_digest(few_digits) -> str:
    return pp.train(model(few_digits), few_digits, engine="local", **OPTIONS).weights_sha256


@pytest.fixture
def foreseen(monkeypatch):
    """Instead of a measurement: the last layer takes as long as the others together. Counts the measurements."""
    done = []

    def made_up(task, schedules, batch_size, site, *, progress):
        progress(0, 1, "")
        costs = [Cost(1, 1), Cost(3, 3), Cost(4, 4)]
        done.append(site)
        return predict(measured(costs, alone=16, cores=2), schedules, task.rule, len(costs))

    monkeypatch.setattr(survey, "survey", made_up)
    return done


def test_measured_on_real_actors_and_the_bits_of_one_process(ray_engine, few_digits, tmp_path, local_digest):
    heard = Heard()
    result = pp.train(
        model(few_digits), few_digits, engine=ray_engine, stages="auto", observer=heard, run_dir=tmp_path / "run",
        **OPTIONS,
    )  # fmt: skip
    assert result.weights_sha256 == local_digest
    assert heard.lines[0] == "measuring layers and messages, to choose the stages"
    assert heard.lines[1].startswith(f"stages: {result.stages}, with ")
    assert "ms per sample predicted" in heard.lines[1] and "in one process" in heard.lines[1]
    about = json.loads((tmp_path / "run" / "run.json").read_text())
    assert about["stages"] == result.stages
    assert about["options"]["stages"] == 1 or len(about["options"]["stages"].split(",")) == result.stages


def test_what_was_chosen_is_written_down_and_not_chosen_anew(
    ray_engine, few_digits, tmp_path, local_digest, foreseen
):  # fmt: skip
    asked = iter([False] * 12 + [True] * 100)
    folder = tmp_path / "run"
    stopped = pp.train(
        model(few_digits), few_digits, engine=ray_engine, stages="auto", run_dir=folder, stop=lambda: next(asked),
        **OPTIONS,
    )  # fmt: skip
    assert stopped.interrupted and stopped.stages == 2
    assert json.loads((folder / "run.json").read_text())["options"]["stages"] == "2,1"
    result = pp.resume(folder, few_digits, engine=ray_engine)
    assert (result.weights_sha256, result.stages, len(foreseen)) == (local_digest, 2, 1)
    # another machine may want other stages; they are written down, too
    for stages, measured in (("auto", 2), (None, 2)):
        changes = {"stages": stages} if stages else {}
        again = pp.resume(folder, few_digits, engine=ray_engine, epochs=3, **changes)
        assert (again.stages, len(foreseen)) == (2, measured)


def test_a_line_says_so_if_one_process_is_faster(ray_engine, few_digits, monkeypatch):
    def made_up(task, schedules, batch_size, site, *, progress):
        costs = [Cost(1, 1)] * 3
        return predict(measured(costs, alone=4, cores=1), schedules, task.rule, len(costs))

    monkeypatch.setattr(survey, "survey", made_up)
    heard = Heard()
    result = pp.train(model(few_digits), few_digits, engine=ray_engine, stages="auto", observer=heard, **OPTIONS)
    assert result.stages == 1
    assert heard.lines[1] == (
        "stages: 1, with all layers; 6 ms per sample predicted, 4 in one process, so --engine local is faster"
    )


def test_the_local_engine_has_one_stage_and_measures_nothing(few_digits, foreseen, local_digest):
    result = pp.train(model(few_digits), few_digits, engine="local", stages="auto", **OPTIONS)
    assert (result.stages, result.weights_sha256, foreseen) == (1, local_digest, [])


def test_a_split_that_is_written_out(few_digits, tmp_path, local_digest):
    result = pp.train(model(few_digits), few_digits, engine="local", stages="1,2", run_dir=tmp_path / "run", **OPTIONS)
    assert (result.stages, result.weights_sha256) == (2, local_digest)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["stages"] == "1,2"


def test_ctrl_c_ends_the_measurement(ray_engine, few_digits, tmp_path, foreseen):
    with pytest.raises(KeyboardInterrupt):
        pp.train(
            model(few_digits), few_digits, engine=ray_engine, stages="auto", stop=lambda: True,
            run_dir=tmp_path / "run", **OPTIONS,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages": 0}, "stages 0: a number of at least 1, auto, or"),
        ({"stages": "many"}, "stages 'many': a number of at least 1, auto, or"),
        ({"stages": "2,2"}, "stages '2,2' hold 4 layers, but the network has 3"),
        ({"stages": "auto", "engine": "spark"}, "unknown engine 'spark'"),
        ({"stages": "auto", "devices": "rpi4*3"}, "stages 'auto': --devices decides this, so leave it out"),
        ({"stages": "auto", "standard_ms": "10"}, "standard_ms '10': stages 'auto' measures what layers take"),
        ({"stages": "auto", "costs": [1, 2, 3]}, r"costs \[1, 2, 3\]: stages 'auto' measures what layers take"),
        ({"stages": "auto", "placement": "A,B"}, "placement 'A,B' names a node for each stage"),
    ],
)
def test_what_does_not_go_together(few_digits, options, words, foreseen):
    with pytest.raises(pp.UserError, match=words):
        pp.train(model(few_digits), few_digits, **{"engine": "ray", "epochs": 1, **options})
    assert not foreseen
