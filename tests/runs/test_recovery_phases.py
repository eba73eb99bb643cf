"""Whatever a run is doing when a stage dies, its bits stay what they were."""

from __future__ import annotations

import pytest
from faults import OPTIONS, Log, kill, model

import pipepita as pp
from pipepita.engines.ray.pipeline import RayPipeline

pytestmark = [pytest.mark.slow, pytest.mark.long]
PHASES = ["_connect", "train", "join", "state", "load", "non_finite", "evaluate", "align"]


@pytest.mark.parametrize("phase", PHASES)
def test_a_stage_may_die_in_any_phase(engine, few_digits, monkeypatch, phase):
    """While the pipeline is wired, at a barrier, during a snapshot, while one is loaded, and before an evaluation."""
    rule = pp.Pepita(mirror=5, modulate="all")
    whole = pp.train(model(few_digits), few_digits, engine="local", rule=rule, **OPTIONS)
    method, calls = getattr(RayPipeline, phase), []

    def called(self, *arguments):
        calls.append(phase)
        if len(calls) == (1 if phase in ("_connect", "load") else 4):
            kill(engine, 1)
        return method(self, *arguments)

    monkeypatch.setattr(RayPipeline, phase, called)
    at = (lambda sample: kill(engine, 0) if sample == 13 else None) if phase == "load" else lambda sample: None
    result = pp.train(model(few_digits), few_digits, engine=engine, rule=rule, observer=Log(at), **OPTIONS)
    assert result.weights_sha256 == whole.weights_sha256
    assert result.restarts == (2 if phase == "load" else 1)
