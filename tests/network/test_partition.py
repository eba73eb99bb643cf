import itertools
import random

import pytest

from pipepita.errors import UserError
from pipepita.network.partition import balance, divide, in_words, read


def test_is_optimal():
    draw = random.Random(0)
    for _ in range(100):
        costs = [draw.randint(0, 9) for _ in range(draw.randint(1, 7))]
        for stages in range(1, len(costs) + 1):
            parts = balance(costs, stages)
            assert [i for part in parts for i in part] == list(range(len(costs)))
            assert all(parts)
            cuts = itertools.combinations(range(1, len(costs)), stages - 1)
            best = min(max(sum(costs[a:b]) for a, b in itertools.pairwise((0, *cut, len(costs)))) for cut in cuts)
            assert max(sum(costs[i] for i in part) for part in parts) == best


@pytest.mark.parametrize("stages", [0, 4])
def test_refuses_empty_stages(stages):
    with pytest.raises(UserError, match=f"{stages} stages for 3 layers: 1 to 3"):
        balance([1, 1, 1], stages)


@pytest.mark.parametrize("written", ["2,1,1", "1,3", "4,5,1,1", "1"])
def test_a_split_that_is_written_down_is_the_same_when_it_is_read(written):
    layers = sum(map(int, written.split(",")))
    assert in_words(divide(read(written), [1.0] * layers)) == written


def test_a_number_of_stages_balances_and_a_split_does_not():
    assert divide(read("2"), [5, 1, 1, 1]) == [range(0, 1), range(1, 4)]
    assert divide(read("2,2"), [5, 1, 1, 1]) == [range(0, 2), range(2, 4)]


@pytest.mark.parametrize("wrong", ["many", "0", 0, -1, "", "2,0", "2,,1", "1.5", True])
def test_stages_that_cannot_be_read(wrong):
    with pytest.raises(UserError, match=r"stages .*: a number of at least 1, auto, or the layers of each stage"):
        read(wrong)


def test_a_split_of_another_network():
    with pytest.raises(UserError, match="stages '2,1' hold 3 layers, but the network has 4"):
        divide("2,1", [1.0] * 4)
