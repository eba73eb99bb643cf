"""A rule from outside reaches the actors, although they cannot import its module."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

import pipepita as pp
from pipepita.engines.ray import shipping
from pipepita.randomness import generator, uniform
from pipepita.rules import read

OPTIONS = {"epochs": 2, "batch_size": 32, "lr": 0.03, "schedule": "streaming", "window": 3}
EXAMPLE = Path(__file__).parents[3] / "scripts" / "examples" / "my_rule.py"


class Learner(pp.GradientLearner):
    def second(self, step, arriving, error):
        self.learn(step, error if self.last else error @ self.feedback)


@dataclass(frozen=True)
class Here(pp.Rule):
    """A learner of this file, which no actor can import."""

    flow = pp.Flow.ALL
    passes = ("standard", "a pass that nobody has heard of")

    def learner(self, layer, layers, classes, seed):
        if layer.number == layers:
            return Learner(layer, last=True)
        shape = classes, math.prod(layer.out_shape)
        return Learner(layer, last=False, feedback=uniform(shape, 0.5, generator(seed, "mine", layer.number)))


def digests(rule, engine, data) -> set[str]:
    hashes = set()
    for one, stages in (("local", 1), (engine, 2), (engine, 3)):
        model = pp.build("fc:24x2", data.item_shape, data.classes, dropout=0.1)
        hashes.add(pp.train(model, data, rule=rule, engine=one, stages=stages, **OPTIONS).weights_sha256)
    return hashes


@pytest.mark.parametrize("transport", ["shared_memory", "tcp"])
def test_a_rule_object_of_a_script_with_a_pass_of_its_own(ray_engine, few_digits, transport):
    ray_engine.transport = transport
    assert len(digests(Here(), ray_engine, few_digits)) == 1
    ray_engine.transport = None


def test_a_rule_of_a_file_with_what_lies_beside_it(ray_engine, few_digits, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    text = EXAMPLE.read_text().replace("import torch\n", "import torch\nfrom half import HALF\n", 1)
    (tmp_path / "mine.py").write_text(text.replace("** 0.5", "** HALF"))
    (tmp_path / "half.py").write_text("HALF = 0.5\n")
    mine = read(f"{tmp_path}/mine.py:MyRule:density=0.5")
    hashes = digests(mine, ray_engine, few_digits)
    assert len(hashes) == 1
    assert hashes == digests(read(f"{EXAMPLE}:MyRule:density=0.5"), ray_engine, few_digits)
    assert hashes != digests(read(f"{EXAMPLE}:MyRule:density=0.25"), ray_engine, few_digits)


def test_what_an_actor_lacks_is_said_in_one_line(ray_engine, few_digits, tmp_path, monkeypatch):
    """The package is imported when a layer is made, in the actor: nobody can know before that it is missing."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    begins = "        if layer.number == layers:\n"
    text = EXAMPLE.read_text().replace(begins, f"        import no_such_module\n{begins}", 1)
    (tmp_path / "late.py").write_text(text)
    model = pp.build("fc:24x2", few_digits.item_shape, 10)
    with pytest.raises(pp.RunError, match="No module named 'no_such_module'") as error:
        pp.train(model, few_digits, rule=read(f"{tmp_path}/late.py:MyRule"), engine=ray_engine, stages=2, epochs=1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("mine", "/x/mine.py", Path("/x")),
        ("rules.deep.mine", "/x/rules/deep/mine.py", Path("/x")),
        ("rules.deep", "/x/rules/deep/__init__.py", Path("/x")),
        ("__main__", "/x/main.py", None),
        ("mine", "mine.py", None),
    ],
)
def test_modules_that_lie_together_have_the_folder_of_their_outermost_package(name, file, folder):
    module = ModuleType(name)
    module.__file__ = file
    assert shipping._folder(module) == folder
