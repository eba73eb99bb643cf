"""The example of a rule of one's own, used as a reader would: trained in actors, killed, resumed, and checked."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from commandline import ended, error_of, process, run, start

EXAMPLE = Path(__file__).parents[2] / "scripts" / "examples" / "my_rule.py"
OPTIONS = (
    "--network", "fc:32x2", "--epochs", 20, "--schedule", "streaming", "--window", 3, "--snapshot-every", 5,
    "--checkpoint-every", 0, "--lr", 0.02, "--stages", 2, "--json",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The folder with the reader's file. After the test this process looks modules up as before."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_rule", raising=False)
    shutil.copy(EXAMPLE, tmp_path)
    yield tmp_path
    sys.modules.pop("my_rule", None)


@pytest.mark.slow
@pytest.mark.rest  # that a rule reaches actors and that a killed run resumes have tests of their own
@pytest.mark.parametrize(
    ("rule", "kept"), [("my_rule.py:MyRule", "{}/my_rule.py:MyRule"), ("my_rule:MyRule", "my_rule:MyRule")]
)
def test_killed_in_actors_and_resumed_to_the_same_bits(folder, places, rule, kept):
    words = ("--rule", f"{rule}:density=0.5", *OPTIONS)
    whole = json.loads(run("train", *words, "--engine", "local", "--run-dir", "whole", cwd=folder).stdout)
    assert (whole["rule"], whole["rule_options"]) == (kept.format(folder), {"density": 0.5})
    child = start("train", *words, "--engine", "ray", "--run-dir", "out", cwd=folder, **places)
    deadline = time.monotonic() + 100
    while not any(int(path.name[5:]) >= 40 for path in (folder / "out" / "checkpoints").glob("step-*")):
        assert time.monotonic() < deadline and child.poll() is None, ended(child)
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    ended(child)
    done = process("train", "--resume", "out", "--json", cwd=folder, **places)
    result = json.loads(done.stdout)
    assert result["weights_sha256"] == whole["weights_sha256"]
    assert result["rule"] == json.loads((folder / "out" / "run.json").read_text())["rule"] == kept.format(folder)
    told = json.loads(run("evaluate", "out", "--json", cwd=folder).stdout)
    assert told["test_accuracy"] == whole["test_accuracy"] > 60
    deadline = time.monotonic() + 15
    while list(Path(places["TMPDIR"]).iterdir()):  # of the cluster whose driver was killed
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_example_passes_and_a_copy_that_looks_at_the_clock_does_not(folder):
    done = run("check-rule", "my_rule.py:MyRule", "--local", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["passed"] * 9
    text = EXAMPLE.read_text().replace("import math\n", "import math\nimport time\n", 1)
    (folder / "late.py").write_text(
        text.replace("error @ self.feedback)", "error @ self.feedback * (time.time() % 2))")
    )
    done = run("check-rule", "late.py:MyRule", "--local", cwd=folder)
    assert done.returncode == 1
    assert "failed   two runs are equal" in done.stdout
    assert "it depends on the clock" in done.stdout
    assert done.stderr == "error: rule late.py:MyRule breaks the contract: two runs are equal\n"


def test_verdicts_as_json(folder):
    done = run("check-rule", "my_rule:MyRule:density=0.5", "--local", "--json", cwd=folder)
    told = json.loads(done.stdout)
    assert (told["rule"], told["passed"], len(told["checks"])) == ("my_rule:MyRule", True, 9)
    assert {tuple(one) for one in told["checks"]} == {("name", "failures", "note", "seconds", "reached")}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("check-rule", "pepto"), "unknown rule 'pepto'"),
        (
            ("check-rule", "my_rule.py:MyRul"),
            "unknown rule of my_rule.py 'MyRul': did you mean 'MyRule'? It is one of MyRule",
        ),
        (("check-rule", "my_rule.py:MyRule:density=2"), "rule my_rule.py:MyRule: density 2.0 is not a share"),
        (
            ("train", "--rule", "my_rule.py:MyRule:density=thin"),
            "rule my_rule.py:MyRule: density 'thin' is not a number",
        ),
        (("train", "--rule", "my_rule.py:MyRule:sparsity=1"), "unknown option 'sparsity': one of density"),
        (("schedule", "--rule", "other.py:Rule"), "other.py does not exist"),
        (("train", "--modulate", "all"), "No such option: --modulate"),
    ],
)
def test_mistakes_are_one_line(folder, words, reason):
    assert reason in error_of(run(*words, cwd=folder))


def test_rules_are_listed_with_their_options_and_broken_ones_with_the_reason(folder, monkeypatch):
    about = folder / "brokenrules-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brokenrules\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[pipepita.rules]\nbroken = brokenrules:Mine\nmine = my_rule:MyRule\n")
    (folder / "brokenrules.py").write_text("raise RuntimeError('too old')\n")
    monkeypatch.syspath_prepend(folder)
    told = json.loads(run("rules", "--json", cwd=folder).stdout)["rules"]
    assert told["usf"]["options"]["keep_signs"] == "keep_signs=false"
    assert told["pepita"]["options"]["modulate"] == "modulate=auto (or input, all)"
    assert told["mine"]["package"] == "brokenrules" and told["mine"]["options"] == {"density": "density=0.1"}
    assert "too old" in told["broken"]["about"] and told["broken"]["options"] == {}
    table = run("rules", cwd=folder).stdout
    assert all(name in table for name in ("pepita", "drtp", "mine", "broken", "keep_signs=false"))
