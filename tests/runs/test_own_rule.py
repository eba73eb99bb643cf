"""Runs with a rule from outside: it is written down, and found again from any folder or passed again."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pipepita as pp
from pipepita.rules import read

EXAMPLE = Path(__file__).parents[2] / "scripts" / "examples" / "my_rule.py"
OPTIONS = {"engine": "local", "batch_size": 16, "lr": 0.02, "schedule": "streaming", "checkpoint_every": 0}


def trained(data, rule, run_dir, epochs=3):
    model = pp.build("fc:24x2", data.item_shape, 10)
    return pp.train(model, data, rule=rule, run_dir=run_dir, epochs=epochs, **OPTIONS)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_rule_of_a_file_is_told_apart_and_goes_on_from_any_folder(few_digits, elsewhere, monkeypatch):
    Path("mine.py").write_text(EXAMPLE.read_text())
    rule = read("mine.py:MyRule:density=0.5")
    whole = trained(few_digits, rule, "whole")
    trained(few_digits, rule, "part", epochs=1)
    for name in ("result.json", "run.json"):
        written = json.loads(Path("part", name).read_text())
        assert (written["rule"], written["rule_options"]) == (f"{elsewhere}/mine.py:MyRule", {"density": 0.5})
    monkeypatch.chdir("/")
    assert pp.resume(elsewhere / "part", few_digits, epochs=3).weights_sha256 == whole.weights_sha256
    told = pp.evaluate(elsewhere / "part", few_digits)
    assert told["test_accuracy"] == told["reported_test_accuracy"] == whole.test_accuracy


def test_a_file_that_has_changed_since_is_warned_of(few_digits, elsewhere):
    Path("mine.py").write_text(EXAMPLE.read_text())
    rule = read("mine.py:MyRule")
    trained(few_digits, rule, "run", epochs=1)
    Path("mine.py").write_text(EXAMPLE.read_text() + "# changed\n")
    with pytest.warns(UserWarning, match="the file of rule .*mine.py:MyRule has changed"):
        pp.resume("run", few_digits, epochs=2)


@pytest.mark.parametrize("how", ["raise SystemExit(0)", "import sys; sys.exit(3)", "raise ValueError('no')"])
def test_a_file_that_ends_the_program_is_a_mistake(elsewhere, how):
    Path("ends.py").write_text(how)
    with pytest.raises(pp.UserError, match="rule file .*ends.py cannot be loaded: (SystemExit|ValueError)"):
        read("ends.py:MyRule")
    with pytest.raises(pp.UserError, match="rule module ends cannot be loaded: (SystemExit|ValueError)"):
        read("ends:MyRule")


def test_a_rule_that_is_gone_is_one_line_and_can_be_passed(few_digits, elsewhere):
    Path("gone.py").write_text(EXAMPLE.read_text())
    rule = read("gone.py:MyRule")
    whole = trained(few_digits, rule, "whole")
    trained(few_digits, rule, "part", epochs=1)
    del sys.modules[type(rule).__module__]
    Path("gone.py").unlink()
    for again in (pp.resume, pp.evaluate):
        with pytest.raises(pp.UserError, match=r"^rule file .*gone.py does not exist \(you can also pass the run's"):
            again("part", few_digits)
        with pytest.raises(pp.UserError, match="^rule pepita with .* is not the run's, which is .*gone.py:MyRule with"):
            again("part", few_digits, rule=pp.Pepita())
    assert pp.resume("part", few_digits, rule=rule, epochs=3).weights_sha256 == whole.weights_sha256
    assert pp.evaluate("part", few_digits, rule=rule)["test_accuracy"] == whole.test_accuracy


def test_a_rule_made_in_a_function_trains_and_is_passed_again(few_digits, elsewhere):
    @dataclass(frozen=True)
    class Inside(pp.DirectFeedbackAlignment):
        pass

    whole = trained(few_digits, Inside(), "whole")
    assert whole.rule.endswith("<locals>.Inside")
    trained(few_digits, Inside(), "part", epochs=1)
    with pytest.raises(pp.UserError, match="has no class .*<locals>.Inside.*pass the run.s rule itself: rule="):
        pp.resume("part", few_digits)
    assert pp.resume("part", few_digits, rule=Inside(), epochs=3).weights_sha256 == whole.weights_sha256
    assert whole.weights_sha256 == trained(few_digits, pp.DirectFeedbackAlignment(), "same").weights_sha256
