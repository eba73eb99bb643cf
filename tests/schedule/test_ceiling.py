import pytest

from pipepita.schedule import locked, relaxed, streaming
from pipepita.schedule.ceiling import period
from pipepita.schedule.world import Cost


@pytest.mark.parametrize("layers", [2, 4, 8, 16])
def test_equal_layers_have_the_closed_forms(layers):
    costs = [Cost(10, 10)] * layers
    assert period(locked(), costs, cores=layers) == pytest.approx(20 * layers)
    assert period(relaxed(), costs, cores=layers) == pytest.approx(10 * layers + 10)
    assert period(streaming(layers // 2 + 1), costs, cores=layers) == pytest.approx(20)


def test_no_period_is_shorter_than_the_work_over_the_cores():
    costs = [Cost(1, 1, 1)] * 8
    assert period(streaming(8), costs, cores=8) == pytest.approx(3)
    assert period(streaming(8), costs, cores=2) == pytest.approx(12)
    assert period(locked(), costs, cores=1) == pytest.approx(24)


def test_one_large_layer_leaves_nothing_to_gain():
    """The paper's own networks: nearly all the work in one hidden layer."""
    costs = [Cost(100, 100), Cost(1, 1)]
    assert period(locked(), costs, cores=2) / period(streaming(2), costs, cores=2) < 1.02
