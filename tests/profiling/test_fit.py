"""What single passes took is explained by the figures that made them."""

import math
import random

import pytest

from pipepita.edge.devices.measured import BATCHES, CONVOLUTION, LINEAR, PHASES, Measured, Overhead, Rate, key
from pipepita.edge.work import Work
from pipepita.profiling.fit import Looked, Timed, ahead_rates, fitted

US = 1e-6
RATES = {
    key(kind, phase, batch): [Rate(1e4, 2e9 * batch), Rate(1e6, 8e9 * batch), Rate(1e9, 6e10)]
    for kind in (LINEAR, CONVOLUTION)
    for phase in PHASES
    for batch in BATCHES
}
OVERHEADS = {
    1: Overhead(4 * US, (15 * US, 8 * US, 5 * US), (20 * US, 12 * US, 9 * US), 2e10),
    8: Overhead(5 * US, (15 * US, 8 * US, 5 * US), (20 * US, 12 * US, 9 * US), 2e10),
    64: Overhead(7 * US, (25 * US, 9 * US, 5 * US), (30 * US, 12 * US, 9 * US), 1e10),
}
TRUE = Measured(OVERHEADS, RATES)


def passes(noise: float = 0.0, count: int = 600) -> list[Timed]:
    draw, found = random.Random(1), []
    for number in range(count):
        phase, kind, batch = PHASES[number % 3], (LINEAR, CONVOLUTION)[number // 3 % 2], BATCHES[number // 6 % 3]
        products = 0.0 if number % 5 == 0 else 10 ** draw.uniform(2, 8.5)
        work = Work(bytes=10 ** draw.uniform(3, 7), calls=draw.randint(2, 14), products=products)
        first = draw.random() < 0.4
        seconds = TRUE.seconds(work, kind, phase, batch, first=first) * math.exp(draw.gauss(0, noise))
        found.append(Timed(kind, phase, batch, first, work, seconds))
    return found


@pytest.mark.parametrize(("noise", "within"), [(0.0, 0.15), (0.1, 0.3)])
def test_known_figures_are_found_again(noise, within):
    found = fitted(passes(noise))
    for one, true in zip(found.overheads.values(), OVERHEADS.values(), strict=True):
        assert one.call == pytest.approx(true.call, rel=within)
        assert one.bandwidth == pytest.approx(true.bandwidth, rel=within)
        assert one.passes[0] == pytest.approx(true.passes[0], rel=2 * within)
        assert one.first == pytest.approx(true.first, rel=2 * within)
    for rates in found.rates.values():
        assert [one.size for one in rates] == sorted({one.size for one in rates})


def test_bytes_per_second_of_predicted_weights_are_found_by_their_size():
    small = [Looked(Work(bytes=1e4, calls=1), 4 * US + 1e4 / 5e9)] * 3
    large = [Looked(Work(bytes=1e7, calls=1), 4 * US + 1e7 / 1e9)] * 3
    nothing = [Looked(Work(bytes=1e4, calls=1), -1 * US), Looked(Work(), 2 * US)]
    assert ahead_rates([*small, *large, *nothing], TRUE) == [
        (pytest.approx(1e4), pytest.approx(5e9)),
        (pytest.approx(1e7), pytest.approx(1e9)),
    ]


def test_all_passes_are_explained():
    timed = passes()
    off = sorted(abs(math.log(one.explained(fitted(timed)) / one.seconds)) for one in timed)
    assert off[len(off) // 2] < 0.05 and off[int(0.95 * len(off))] < 0.4


def test_passes_that_hardly_multiply_do_not_make_large_ones_slow():
    """Of a small product nobody knows the rate. A larger one must not get it."""
    small = [Timed(LINEAR, "standard", 1, False, Work(bytes=1e3, calls=2, products=1e3), 23 * US) for _ in range(20)]
    found = fitted([*small, *passes()])
    work = Work(bytes=1e3, calls=2, products=1e5)
    assert found.seconds(work, LINEAR, "standard", 1) < 2.5 * TRUE.seconds(work, LINEAR, "standard", 1)
