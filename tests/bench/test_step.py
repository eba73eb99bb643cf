"""The paper's loop, as benchmarked, and the library's textbook form end with the same weights up to rounding."""

from __future__ import annotations

import copy

import pytest
import torch

import pipepita as pp
from bench.step.measure import LR, PepitaStep
from bench.step.paper import PaperLoop, feedback
from pipepita.network.cut import cut

STEPS = 5


@pytest.mark.parametrize(
    ("spec", "shape"),
    [
        ("fc:48", (30,)),
        ("fc:48x3", (30,)),
        ("conv:6,3/pool:2", (2, 10, 10)),
        ("conv:6,3/pool:2/conv:4,2/fc:24", (2, 10, 10)),
    ],
)
def test_paper_loop_is_the_textbook_form(spec, shape):
    torch.manual_seed(0)
    x, y = torch.rand(16, *shape), torch.randint(0, 10, (16,))
    model = pp.build(spec, shape, 10)
    pp.initialise(model, 0)
    before = copy.deepcopy(model.state_dict())
    first, *_ = layers = cut(model, shape, 10)
    drawn = pp.Pepita().learner(first, len(layers), 10, seed=0).fixed()[f"{first.name}.feedback"]
    paper = PaperLoop(model, drawn.T, LR, x, y)
    library = PepitaStep(spec, shape, pp.Pepita(form="textbook", modulate="input"), "sgd", x, y)
    for _ in range(STEPS):
        paper()
        library()
    library.pipeline.samples.send("end", library.step)  # so that the last update is applied
    library.pipeline.join()
    weights = library.pipeline.state().weights
    assert weights.keys() == model.state_dict().keys()
    for key, theirs in model.state_dict().items():
        torch.testing.assert_close(weights[key], theirs, rtol=1e-4, atol=1e-6)
        moved, difference = (theirs - before[key]).abs().max(), (theirs - weights[key]).abs().max()
        assert difference < 1e-3 * moved, f"{key}: moved by {moved:.2g}, but the weights differ by {difference:.2g}"


def test_feedback_is_drawn_as_the_library_draws_it():
    (layer, _) = cut(pp.build("fc:8", (30,), 10), (30,), 10)
    drawn = pp.Pepita().learner(layer, 2, 10, seed=0).fixed()[f"{layer.name}.feedback"]
    own = feedback(30, 10)
    assert own.shape == drawn.T.shape
    assert own.abs().max() == pytest.approx(float(drawn.abs().max()), rel=0.05)
