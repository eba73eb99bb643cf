import pytest
import torch
from torch import nn

import pipepita as pp
from pipepita.network.grow import normalized
from pipepita.network.modules import ACTIVATIONS, describe, rebuild
from pipepita.network.spec import build, hidden_layers, initialise


def kinds(model: nn.Sequential) -> str:
    return " ".join(type(module).__name__ for module in model)


@pytest.mark.parametrize(
    ("spec", "shape", "expected"),
    [
        ("fc:1024", (1, 8, 8), "Flatten Linear ReLU Linear"),
        ("fc:16x3", (64,), "Linear ReLU Linear ReLU Linear ReLU Linear"),
        ("conv:32,5/pool:2/fc:256", (3, 32, 32), "Conv2d ReLU MaxPool2d Flatten Linear ReLU Linear"),
        (
            "(conv:8,3,1,1/norm:batch)x2/pool:2",
            (1, 8, 8),
            "Conv2d BatchNorm2d ReLU Conv2d BatchNorm2d ReLU MaxPool2d Flatten Linear",
        ),
        (
            "((fc:8/norm:layer)x2/fc:9)x2",
            (64,),
            "Linear LayerNorm ReLU " * 2 + "Linear ReLU " + "Linear LayerNorm ReLU " * 2 + "Linear ReLU Linear",
        ),
        (
            "conv:8,3/norm:group,4/pool:2/dropout:0.5/fc:9/norm:rms/dropout:0.25",
            (1, 8, 8),
            "Conv2d GroupNorm ReLU MaxPool2d Dropout Flatten Linear RMSNorm ReLU Dropout Linear",
        ),
        ("conv:8,3/pool:2/norm:item", (1, 8, 8), "Conv2d ReLU MaxPool2d RMSNorm Flatten Linear"),
        ("fc:9/norm:batch", (64,), "Linear BatchNorm1d ReLU Linear"),
        ("paper-conv", (1, 8, 8), "Conv2d ReLU MaxPool2d Flatten Linear"),
        ("paper-fc/fc:9", (64,), "Linear ReLU Linear ReLU Linear"),
        ("conv:8,3,1,1x2/avgpool:2", (1, 8, 8), "Conv2d ReLU Conv2d ReLU AvgPool2d Flatten Linear"),
    ],
)
def test_builds(spec, shape, expected):
    model = build(spec, shape, 7)
    assert kinds(model) == expected
    assert model(torch.rand(2, *shape)).shape == (2, 7)


def test_networks_by_name():
    """Nokland & Eidnes' networks: 8 and 11 layers with weights, 3 x 3 convolutions and one hidden layer of 1024."""
    for name, convolutions in (("vgg8b", 6), ("vgg11b", 9)):
        model = build(name, (3, 32, 32), 10)
        assert kinds(model).count("Conv2d") == convolutions
        assert kinds(model).count("BatchNorm") == convolutions + 1
        assert kinds(model).count("MaxPool2d") == 4
        assert [module.out_features for module in model if isinstance(module, nn.Linear)] == [1024, 10]
        assert hidden_layers(name) == convolutions + 1


def test_own_norms_and_dropouts_take_the_place_of_the_general_ones():
    model = build("conv:4,3/norm:batch/fc:8/dropout:0.25/fc:9", (1, 8, 8), 10, dropout=0.1, normal=True)
    assert kinds(model) == (
        "Conv2d BatchNorm2d ReLU Dropout Flatten Linear ReLU RMSNorm Dropout Linear ReLU RMSNorm Dropout Linear"
    )
    assert [module.p for module in model if isinstance(module, nn.Dropout)] == [0.1, 0.25, 0.1]


def test_a_layer_may_have_a_dropout_on_both_sides_of_what_pools():
    model = build("conv:8,3/dropout:0.5/pool:2/dropout:0.3", (1, 8, 8), 10, dropout=0.1)
    assert kinds(model) == "Conv2d ReLU Dropout MaxPool2d Dropout Flatten Linear"
    assert [module.p for module in model if isinstance(module, nn.Dropout)] == [0.5, 0.3]
    behind = build("conv:8,3/pool:2/dropout:0.3", (1, 8, 8), 10, dropout=0.1)
    assert [module.p for module in behind if isinstance(module, nn.Dropout)] == [0.3]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_with_a_name_can_be_built(name):
    assert build("fc:4", (3,), 2, activation=name)(torch.ones(1, 3)).shape == (1, 2)


def test_order_within_a_layer():
    model = build("conv:8,3/pool:2", (1, 8, 8), 10, activation="tanh", dropout=0.2, normal=True)
    assert kinds(model) == "Conv2d Tanh RMSNorm Dropout MaxPool2d Flatten Linear"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("fc", "cannot read 'fc'"),
        ("fc:", "cannot read 'fc:'"),
        ("fc:10,10", "fc takes one number"),
        ("fc:0", "number below 1"),
        ("fc:99999999999", "'fc:99999999999' has a number above 1000000"),
        ("fc:4x999999999", "'fc:4x999999999' makes more than 10000 parts"),
        ("(((fc:2)x99)x99)x99", "makes more than 10000 parts"),
        ("fc:4x9999999999", "cannot read 'fc:4x9999999999'"),
        ("fc:4x0", "'fc:4x0' has a number below 1"),
        ("(" * 30 + "fc:2" + ")" * 30, "more than 20 brackets"),
        ("(fc:2", "its brackets do not match"),
        ("fc:2)", "its brackets do not match"),
        ("(fc:2)y3", "goes on after its bracket"),
        ("fc:2/norm:bath", "did you mean 'batch'"),
        ("fc:2/norm:group", "write norm:batch, norm:layer, norm:rms, norm:item or norm:group,GROUPS"),
        ("conv:6,3/norm:group,4", "4 is not a number of groups that divides 6 channels"),
        ("conv:6,3/norm:rms/pool:2/norm:batch", "a layer has one norm"),
        ("fc:2/norm:rms/norm:rms", "a layer has one norm"),
        ("norm:rms", "begins with norm"),
        ("fc:2/dropout:0.5/dropout:0.3", "dropout:0.3: there is a dropout right in front of it"),
        ("conv:8,3/pool:2/dropout:0.5/dropout:0.3", "dropout:0.3: there is a dropout right in front of it"),
        ("fc:2/dropout:1", "'dropout:1' is not a probability"),
        ("fc:2/dropout:x", "'dropout:x' is not a probability"),
        ("dense:10", "'dense'.*one of avgpool, conv, dropout, fc, norm, pool"),
        ("conv:8", "conv takes filters,kernel"),
        ("conv:8,99", "conv:8,99 does not fit items of shape"),
        ("fc:10/conv:8,3", "conv needs items of shape"),
        ("pool:2", "begins with pool"),
        ("", "cannot read ''"),
        ("conv:8,3/pool:7", "pool:7 does not fit"),
    ],
)
def test_refuses(spec, words):
    with pytest.raises(pp.UserError, match=words):
        build(spec, (1, 8, 8), 10)


def test_he_uniform_weights_depend_on_the_seed_alone():
    model = nn.Sequential(nn.Conv2d(4, 64, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(2304, 50))
    initialise(model, 1)
    for module, fan_in in ((model[0], 18), (model[3], 2304)):
        bound = (6 / fan_in) ** 0.5
        assert module.weight.abs().max() <= bound
        assert float(module.weight.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.1)
        assert not module.bias.any()
    first = model[3].weight.clone()
    initialise(model, 2)
    assert not torch.equal(model[3].weight, first)
    torch.rand(3)  # the global generator has no say
    initialise(model, 1)
    assert torch.equal(model[3].weight, first)


def test_normalized_goes_behind_hidden_activations_and_keeps_names():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, 3)
    )
    keys = list(model.state_dict())
    normalized(model, (1, 8, 8))
    assert kinds(model) == "Conv2d ReLU RMSNorm MaxPool2d Flatten Linear Tanh RMSNorm Linear"
    assert list(model.state_dict()) == keys
    assert kinds(normalized(model, (1, 8, 8))).count("RMSNorm") == 2  # a second call adds none
    hidden = model[:3](torch.randn(5, 1, 8, 8))
    torch.testing.assert_close((hidden**2).mean((1, 2, 3)), torch.ones(5), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("training", [True, False])
def test_normalized_leaves_the_model_in_its_mode(training):
    model = normalized(build("fc:4", (6,), 3, dropout=0.5).train(training), (6,))
    assert model.training is training and all(module.training is training for module in model)


def test_description_rebuilds_the_same_model():
    model = nn.Sequential(
        nn.Conv2d(1, 4, (3, 5), stride=2, padding="valid", padding_mode="reflect"), nn.LeakyReLU(0.3),
        nn.RMSNorm((4, 3, 2), elementwise_affine=False), nn.Dropout(0.3), nn.AvgPool2d((3, 2), divisor_override=7),
        nn.Sequential(nn.Flatten(), nn.Linear(4, 6, bias=False)), nn.Softplus(2.0), nn.Linear(6, 3),
    ).eval()  # fmt: skip
    import json

    again = rebuild(json.loads(json.dumps(describe(model)))).eval()
    again.load_state_dict(model.state_dict())
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(model(x), again(x))
    assert str(model) == str(again)


def test_rebuilding_runs_no_code_from_the_file():
    with pytest.raises(pp.UserError, match="unknown module type 'Module'"):
        rebuild([{"name": "0", "type": "Module"}])


def test_the_output_layer_may_begin_at_zero():
    drawn, zero = (build("conv:4,3/fc:6", (1, 8, 8), 10) for _ in range(2))
    initialise(drawn, 3)
    initialise(zero, 3, "zero-output")
    for module, other in zip(list(drawn)[:-1], list(zero)[:-1], strict=True):
        assert all(map(torch.equal, module.parameters(), other.parameters()))
    assert not zero[-1].weight.any() and drawn[-1].weight.all()
    with pytest.raises(pp.UserError, match="unknown init 'zero'"):
        initialise(drawn, 3, "zero")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((None, (6,), 3), "network None: it is described by a string"),
        (("fc:3", 6, 3), "item_shape 6: it holds the sizes of an item"),
        (("fc:3", (6.5,), 3), r"item_shape \(6.5,\)"),
        (("fc:3", (-6,), 3), r"item_shape \(-6,\)"),
        (("fc:3", (), 3), r"item_shape \(\)"),
        (("fc:3", (6,), 0), "classes 0: it must be a whole number of at least 1"),
        (("fc:3", (6,), "3"), "classes '3'"),
    ],
)
def test_arguments_of_another_kind_are_named(arguments, words):
    with pytest.raises(pp.UserError, match=words):
        build(*arguments)


def test_normalized_refuses_what_does_not_fit_and_leaves_the_model_as_it_was():
    nested = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.Linear(2, 2))
    for model, shape, words in (
        (nested, (2,), "module 0 is an nn.Sequential"),
        (build("fc:4", (3,), 2), (7,), r"items of shape \(7,\) cannot pass through module 0"),
    ):
        with pytest.raises(pp.UserError, match=words):
            normalized(model, shape)
        assert model.training


def test_dropout_is_a_number():
    with pytest.raises(pp.UserError, match="dropout '0.1' is not a probability"):
        build("fc:4", (3,), 2, dropout="0.1")
