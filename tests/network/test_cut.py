import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.cut import cut
from pipepita.network.standardize import Standardize

FLAT = (12,)


@pytest.mark.parametrize(
    ("modules", "words"),
    [
        ([nn.Linear(12, 5), nn.LSTM(5, 5), nn.Linear(5, 3)], "module 1 is LSTM, which pipepita cannot train"),
        ([nn.Linear(12, 5), nn.InstanceNorm1d(5), nn.Linear(5, 3)], "module 1 is InstanceNorm1d"),
        (
            [nn.Linear(12, 5), nn.BatchNorm1d(5, track_running_stats=False), nn.Linear(5, 3)],
            "module 1 is BatchNorm1d without running statistics: evaluations need them",
        ),
        ([nn.Linear(12, 5), nn.BatchNorm1d(6), nn.Linear(5, 3)], "module 1 does not fit"),
        ([nn.Linear(12, 5), nn.PReLU(), nn.Linear(5, 3)], "module 1 is PReLU"),
        ([nn.Linear(11, 5), nn.ReLU(), nn.Linear(5, 3)], r"module 0 \(Linear\) takes 11 features but gets 12"),
        ([nn.Linear(12, 5), nn.ReLU(), nn.Linear(6, 3)], r"module 2 \(Linear\) takes 6 features but gets 5"),
        ([nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 4)], "has 4 units but the data 3 classes"),
        ([nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3), nn.ReLU()], r"module 3 \(ReLU\) follows the output layer"),
        ([nn.Linear(12, 5), nn.Softmax(1), nn.Linear(5, 3)], "Softmax inside the network"),
        ([nn.ReLU(), nn.Linear(12, 3)], r"module 0 \(ReLU\) comes before the first"),
        ([nn.Linear(12, 5), nn.Dropout(1.0), nn.Linear(5, 3)], r"Dropout\(p=1.0\)"),
        ([nn.Linear(12, 5), nn.RMSNorm(4), nn.Linear(5, 3)], "module 1 does not fit"),
        ([nn.Linear(12, 5), nn.RMSNorm(4, elementwise_affine=False), nn.Linear(5, 3)], "module 1 does not fit"),
        ([nn.Flatten()], "nothing to train"),
        (
            [Standardize((5,)), nn.Linear(12, 3)],
            r"figures of shape \(5,\), which do not fit items of shape \(12,\)",
        ),
        (
            [Standardize((3, 12)), nn.Flatten(), nn.Linear(36, 3)],
            r"module 0 has figures of shape \(3, 12\), which do not",
        ),
        ([nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(5, 3)], r"module 0 \(Conv2d\) takes items of shape \(channels"),
        ([nn.Linear(12, 3, bias=True), nn.Flatten(0, 1)], "only Flatten"),
    ],
)
def test_refuses_in_one_line(modules, words):
    with pytest.raises(pp.UserError, match=words) as error:
        cut(nn.Sequential(*modules), FLAT, 3)
    assert "\n" not in str(error.value)


def test_refuses_a_batch_norm_for_items_of_another_kind():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    with pytest.raises(pp.UserError, match=r"module 1 does not fit items of shape \(4, 6, 6\): expected 2D or 3D"):
        cut(model, (1, 8, 8), 3)


def test_refuses_activation_behind_pooling():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3))
    with pytest.raises(pp.UserError, match=r"put ReLU\(\) before MaxPool2d"):
        cut(model, (1, 8, 8), 3)


def test_refuses_shared_weights_conv_output_and_what_is_not_sequential():
    shared = nn.Linear(12, 12)
    with pytest.raises(pp.UserError, match="module 2 has weights that another one has too"):
        cut(nn.Sequential(shared, nn.ReLU(), shared, nn.Linear(12, 3)), FLAT, 3)
    tied = nn.Sequential(nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 12), nn.ReLU(), nn.Linear(12, 3))
    tied[2].weight = tied[0].weight
    with pytest.raises(pp.UserError, match="module 2 has weights that another one has too"):
        cut(tied, FLAT, 3)
    indices = nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(2, return_indices=True), nn.Flatten(), nn.Linear(18, 3))
    with pytest.raises(pp.UserError, match="returns indices"):
        cut(indices, (1, 8, 8), 3)
    with pytest.raises(pp.UserError, match="output layer must be Linear"):
        cut(nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten()), (1, 3, 3), 3)
    with pytest.raises(pp.UserError, match=r"trains an nn\.Sequential"):
        cut(nn.Linear(12, 3), FLAT, 3)


def test_layers_of_a_nested_model():
    body = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Dropout(0.5), nn.MaxPool2d(2), nn.Dropout2d(0.5), nn.Flatten()
    )
    layers = cut(nn.Sequential(body, nn.Linear(36, 3), nn.Softmax(dim=1)), (1, 8, 8), 3)
    assert [layer.name for layer in layers] == ["0.0", "1"]
    assert [layer.in_shape for layer in layers] == [(1, 8, 8), (36,)]
    assert [layer.out_shape for layer in layers] == [(36,), (3,)]
    assert [layer.cost for layer in layers] == [4 * 9 * 36, 108]
    masks = layers[0].masks(2, 0)
    assert [tuple(mask.shape) for mask in masks] == [(2, 4, 6, 6), (2, 4, 1, 1)]


def test_works_on_copies_and_never_in_place():
    model = nn.Sequential(nn.Linear(12, 5), nn.ReLU(inplace=True), nn.Linear(5, 3))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    layer = cut(model, FLAT, 3)[0]
    with torch.inference_mode():
        a = layer.synapse.forward(torch.randn(4, 12))
        kept = a.clone()
        layer.activity(a)
        assert torch.equal(a, kept)
        layer.parameters[0].zero_()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in before.items())
    assert model[1].inplace
