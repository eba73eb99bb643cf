import torch
from torch import nn

from pipepita.network.cut import cut


def layer(seed: int = 0):
    model = nn.Sequential(nn.Linear(6, 2000), nn.Tanh(), nn.Dropout(0.25), nn.Linear(2000, 2))
    return cut(model, (6,), 2, seed)[0]


def test_masks_depend_on_seed_layer_and_step_alone():
    one = layer().masks(4, 7)
    torch.rand(5)
    assert torch.equal(one[0], layer().masks(4, 7)[0])
    for other in (layer(seed=1).masks(4, 7), layer().masks(4, 8)):
        assert not torch.equal(one[0], other[0])


def test_layers_of_one_width_have_masks_of_their_own():
    model = nn.Sequential(nn.Linear(6, 50), nn.Dropout(0.5), nn.Linear(50, 50), nn.Dropout(0.5), nn.Linear(50, 2))
    first, second, _ = cut(model, (6,), 2)
    assert not torch.equal(first.masks(4, 7)[0], second.masks(4, 7)[0])


def test_masks_keep_the_mean():
    mask = layer().masks(8, 0)[0]
    assert set(mask.unique().tolist()) == {0.0, 1 / 0.75} or torch.allclose(mask.unique(), torch.tensor([0, 1 / 0.75]))
    assert abs(float(mask.mean()) - 1) < 0.05


def test_without_masks_there_is_no_dropout():
    block = layer()
    a = torch.randn(4, 2000)
    assert torch.equal(block.activity(a), torch.tanh(a))
    masks = block.masks(4, 0)
    assert torch.equal(block.activity(a, masks), torch.tanh(a) * masks[0])
