import itertools
import random

import pytest

from pipepita.errors import UserError
from pipepita.network.partition import balance


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
