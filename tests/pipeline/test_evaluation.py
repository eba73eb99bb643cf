import pytest
import torch

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.pipeline.evaluation import evaluate
from pipepita.pipeline.stage import stages
from pipepita.pipeline.task import Task
from pipepita.pipeline.wiring import Plan
from pipepita.schedule import relaxed


@pytest.fixture
def model(few_digits):
    model = pp.build("fc:20", few_digits.item_shape, 10, dropout=0.5)
    pp.initialise(model, 3)
    return model


@pytest.mark.parametrize("in_flight", [1, 2])
def test_it_counts_what_the_network_says_without_dropout(few_digits, model, in_flight):
    task = Task(cut(model, few_digits.item_shape, 10), 10, pp.Pepita())
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, [range(1), range(1, 2)]), relaxed(), 16))
    x, y = few_digits.x_test, few_digits.y_test
    tally = evaluate(pipeline, [(x[:16], y[:16]), (x[16:32], y[16:32]), (x[32:], y[32:])], in_flight)
    pipeline.close()
    scores = model.eval()(x)
    assert tally.items == len(x) and tally.steps == 3
    assert tally.accuracy == pytest.approx(100 * (scores.argmax(1) == y).float().mean().item())
    assert tally.loss == pytest.approx(torch.nn.functional.cross_entropy(scores, y).item(), rel=1e-5)


def test_outputs_that_are_not_numbers_end_it(few_digits, model):
    with torch.no_grad():
        model[1].weight.fill_(float("nan"))
    task = Task(cut(model, few_digits.item_shape, 10), 10, pp.Pepita())
    pipeline = pp.LocalEngine("cpu").open(Plan(stages(task, task.whole), relaxed(), 16))
    with pytest.raises(pp.Diverged, match="the output for some test items is not finite"):
        evaluate(pipeline, [(few_digits.x_test[:16], few_digits.y_test[:16])], 2)
    pipeline.close()
