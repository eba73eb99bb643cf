"""How a rule is named, loaded and made, whether it is part of the package or comes from outside."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import pipepita as pp
from pipepita import rules
from pipepita.rules.registry import read, split_several, text_of

EXAMPLE = Path(__file__).parents[2] / "scripts" / "examples" / "my_rule.py"
RULE = """
from dataclasses import dataclass
import pipepita as pp

@dataclass(frozen=True)
class Mine(pp.Rule):
    scale: float = 1.0
    flow = pp.Flow.ALL

    def learner(self, layer, layers, classes, seed):
        raise NotImplementedError
"""


@dataclass(frozen=True)
class Here(pp.Rule):
    flow = pp.Flow.ALL
    scale: float = 1.0

    def learner(self, layer, layers, classes, seed):
        raise NotImplementedError


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """A working directory of its own, and `sys.path` as before once the test is over."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_rules_are_named_and_made_without_torch():
    code = (
        "import sys, pipepita.rules as rules\n"
        "made = [rules.make(name, {}) for name in rules.BUILT_IN]\n"
        "assert all(rule.reads(name, 1, 3) and rule.flow for rule in made for name in rule.passes)\n"
        "assert 'torch' not in sys.modules and 'ray' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_built_in_rule_is_made_again_from_what_a_run_keeps():
    for name in rules.BUILT_IN:
        rule = rules.make(name, {})
        assert (rule.name, rules.reference(rule)) == (name, name)
        assert rules.again(rules.reference(rule), rules.options_of(rule)) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("pepita", pp.Pepita()),
        (" pepita:modulate=all,form=stash ", pp.Pepita(modulate="all", form="stash")),
        ("pepita:f_scale=1,mirror=3", pp.Pepita(f_scale=1.0, mirror=3)),
        ("usf:keep_signs=true", pp.UniformSigns(keep_signs=True)),
        ("bp:", pp.Backprop()),
        ("pipepita.rules.backward:FixedSigns:same_norm=true", pp.FixedSigns(same_norm=True)),
        ({"name": "pepita", "modulate": "all", "mirror": 3}, pp.Pepita(modulate="all", mirror=3)),
        ({"name": "pepita", "f_scale": 1}, pp.Pepita(f_scale=1.0)),
    ],
)
def test_a_rule_is_a_text_or_a_table(text, rule):
    assert rules.read(text) == rule
    assert not isinstance(getattr(rules.read(text), "f_scale", 0.0), int)  # whole numbers are read as what they mean


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("pepta", r"unknown rule 'pepta': did you mean 'pepita'\? It is one of bp, .*; or module:Class, or path/to"),
        ("pepita:modulate", "rule 'pepita:modulate': modulate has no value: write it like pepita"),
        ("pepita:modulate=all,stash", "rule 'pepita:modulate=all,stash': 'stash' is not option=value"),
        ("pepita:modulate=some", "rule pepita: unknown modulate 'some': one of all, auto, input"),
        ("pepita:modulat=all", r"rule pepita: unknown option 'modulat': did you mean 'modulate'\? It is one of "),
        ("pepita:mirror=1.5", "rule pepita: mirror '1.5' is not a whole number"),
        ("pepita:mirror=-1", "rule pepita: mirror -1 is not a number of mini-batches from 0 to 100000"),
        ("pepita:f_scale=wide", "rule pepita: f_scale 'wide' is not a number or auto"),
        ("pepita:f_scale=-1", "rule pepita: f_scale -1.0 is not a finite number of at least 0"),
        ("pepita:f_scale=NaN", "rule pepita: f_scale nan is not a finite number of at least 0"),
        ("pepita:mirror=99999999999999999999", "rule pepita: mirror '99999999999999999999' is not a whole number"),
        ("usf:keep_signs=yes", "rule usf: keep_signs 'yes' is not true or false"),
        ("usf:keep_signs=1", "rule usf: keep_signs '1' is not true or false"),
        ("fa:scale=1", "rule fa has no options, but scale '1' was given"),
        ("a=b", "rule 'a=b' cannot be read: write it like pepita"),
        ("", "rule '' cannot be read"),
        ({"name": "usf", "keep_signs": 1}, "rule usf: keep_signs 1 is not true or false"),
        ({"modulate": "all"}, "rule .* as a table with its name and options"),
        (3, "rule 3: write it like"),
        ("missing.py:Rule", "rule file .*missing.py does not exist"),
        (
            "no_such_module:Rule",
            "rule module no_such_module is neither installed nor in .*path/to/no_such_module.py",
        ),
        ("no-module:Rule", "rule module 'no-module' is not a module's name"),
        ("pipepita.rules.backward:Backpop", "unknown rule of pipepita.rules.backward 'Backpop': .*'Backprop'"),
        ("os:getcwd", "rule os:getcwd is not a rule: it must be a class with `flow` and `learner`"),
        ("os:nothing", "rule os:nothing: os has no class nothing, and no other rule either"),
    ],
)
def test_what_names_no_rule_is_one_line(elsewhere, spec, reason):
    with pytest.raises(pp.UserError, match=f"^{reason}") as error:
        rules.read(spec)
    assert "\n" not in str(error.value)


def test_a_comma_begins_another_rule_unless_an_option_follows():
    text = "pepita, pepita:modulate=all,form=stash,bp,my_rule.py:MyRule:scale=1,sizes=[1,2],m:C"
    assert split_several(text) == [
        "pepita", "pepita:modulate=all,form=stash", "bp", "my_rule.py:MyRule:scale=1,sizes=[1,2]", "m:C",
    ]  # fmt: skip
    assert split_several("bp,") == ["bp", ""]  # the empty text names no rule; reading it is an error


def test_a_rule_of_a_file_is_found_again_from_anywhere(elsewhere, monkeypatch):
    Path("rules").mkdir()
    Path("rules/mine.py").write_text("from beside import SCALE\n" + RULE.replace("= 1.0", "= SCALE"))
    Path("rules/beside.py").write_text("SCALE = 3.0\n")
    rule = rules.read("rules/mine.py:Mine:scale=2")
    assert (rule.name, rule.scale, type(rule)().scale) == ("Mine", 2.0, 3.0)
    where = rules.reference(rule)
    assert where == f"{elsewhere}/rules/mine.py:Mine"
    monkeypatch.chdir("/")
    assert rules.again(where, rules.options_of(rule)) == rule


def test_files_of_the_same_name_are_different_modules(elsewhere):
    scales = []
    for folder, scale in (("one", "1.5"), ("two", "2.5")):
        Path(folder).mkdir()
        Path(folder, "json.py").write_text(RULE.replace("1.0", scale))  # it must not hide the module json
        scales.append(rules.read(f"{folder}/json.py:Mine").scale)
    assert scales == [1.5, 2.5]
    assert rules.options_of(rules.read("one/json.py:Mine")) == {"scale": 1.5}


def test_a_rule_of_a_module_in_the_working_directory_is_found(elsewhere):
    Path("rule_in_the_working_directory.py").write_text(RULE)
    rule = rules.read("rule_in_the_working_directory:Mine")
    assert rules.reference(rule) == "rule_in_the_working_directory:Mine"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("1/0\n", "ZeroDivisionError: division by zero"),
        ("import no_such_package\n", "ModuleNotFoundError: No module named 'no_such_package'"),
        ("def f(:\n", "SyntaxError: invalid syntax"),
    ],
)
def test_a_module_that_cannot_be_loaded_is_one_line(elsewhere, text, reason):
    Path("broken_rule.py").write_text(text)
    for name in ("broken_rule.py:Mine", "broken_rule:Mine"):
        with pytest.raises(pp.UserError, match=f"^rule (file|module) .*broken_rule.* cannot be loaded: {reason}"):
            rules.read(name)


def test_a_file_that_could_not_be_loaded_is_read_again_once_it_is_mended(elsewhere):
    for text, reason in (("import nowhere_to_be_found\n", "ModuleNotFoundError"), ("def f(:\n", "SyntaxError")):
        Path("mended.py").write_text(text)
        with pytest.raises(pp.UserError, match=f"mended.py cannot be loaded: {reason}"):
            rules.read("mended.py:Mine")
    Path("mended.py").write_text(RULE)
    assert rules.read("mended.py:Mine").scale == 1.0


def test_a_class_that_raises_anything_is_one_line(elsewhere):
    Path("picky.py").write_text(RULE + "    def __post_init__(self):\n        raise KeyError('why')\n")
    with pytest.raises(pp.UserError, match=r"^rule picky.py:Mine cannot be made with scale=2.0: KeyError: 'why'$"):
        rules.read("picky.py:Mine:scale=2")


def offered(folder: Path, package: str, points: str, module: str) -> None:
    """An installed package that offers rules."""
    about = folder / f"{package}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[pipepita.rules]\n{points}")
    (folder / f"{package}.py").write_text(module)


def test_installed_packages_offer_rules_and_a_broken_one_harms_no_other(elsewhere, monkeypatch):
    offered(elsewhere, "fancyrules", "fancy = fancyrules:Mine\npepita = fancyrules:Mine\n", RULE)
    offered(elsewhere, "brokenrules", "broken = brokenrules:Mine\n", "raise RuntimeError('too old')\n")
    monkeypatch.syspath_prepend(elsewhere)
    rule = rules.read("fancy:scale=2")
    assert (rules.reference(rule), rules.options_of(rule)) == ("fancy", {"scale": 2.0})
    assert rules.again("fancy", {"scale": 2.0}) == rule
    assert rules.read("pepita") == pp.Pepita()  # a built-in name stays the built-in rule's
    assert set(rules.installed()) >= {"fancy", "broken"}
    with pytest.raises(pp.UserError, match="^rule broken of the package brokenrules: .*RuntimeError: too old$"):
        rules.read("broken")
    with pytest.raises(pp.UserError, match="^unknown rule 'other': one of .*broken, .*fancy"):
        rules.read("other")


def test_a_rule_that_no_name_leads_to_can_be_passed():
    @dataclass(frozen=True)
    class Inside(Here):
        pass

    rule = Inside(2.0)
    where, options = rules.reference(rule), rules.options_of(rule)
    with pytest.raises(pp.UserError, match=r"<locals>.Inside.*\(you can also pass the run's rule itself: rule=...\)$"):
        rules.again(where, options)
    assert rules.again(where, options, rule) is rule
    with pytest.raises(pp.UserError, match=r"with {'scale': 3.0} is not the run's, which is .*Inside with {'scale': 2"):
        rules.again(where, options, Inside(3.0))
    with pytest.raises(pp.UserError, match="^rule bp with {'form': 'stash'} is not the run's"):
        rules.again(where, options, pp.Backprop())


def test_the_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) <= 60


@pytest.mark.parametrize("text", ["pepita:modulate=all,mirror=3", "usf:keep_signs=true", "pepita:f_scale=0.2", "bp"])
def test_a_rule_as_text_can_be_read_again(text):
    assert text_of(read(text)) == text
