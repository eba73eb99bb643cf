import torch

from pipepita.randomness import generator, uniform


def test_every_purpose_and_place_has_its_own_numbers():
    keys = [(0, "dropout", 1, 2), (0, "dropout", 2, 1), (0, "dropout", 12), (1, "dropout", 1, 2), (0, "shuffle", 1, 2)]
    drawn = [float(torch.rand((), generator=generator(*key), dtype=torch.float64)) for key in keys]
    assert len(set(drawn)) == len(keys)
    assert drawn == [float(torch.rand((), generator=generator(*key), dtype=torch.float64)) for key in keys]


def test_uniform_stays_within_its_bound():
    values = uniform((1000,), 0.3, generator(0, "test"))
    assert values.abs().max() <= 0.3
    assert values.std() > 0.15
