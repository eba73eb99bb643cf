import pytest
import torch
from torch import nn

from pipepita.rules.stability import largest_eigenvalue, stability_index


def test_linear_against_eigvalsh():
    x = torch.randn(400, 12, generator=torch.Generator().manual_seed(0)) * torch.linspace(1, 3, 12)
    x[:, -1] *= 2  # one eigenvalue stands out, so that the power iteration converges
    expected = torch.linalg.eigvalsh(x.t() @ x / len(x))[-1]
    with torch.inference_mode():
        assert largest_eigenvalue(nn.Linear(12, 5), x) == pytest.approx(float(expected), rel=1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_never_above_and_little_below_if_no_eigenvalue_stands_out(seed):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(400, 12, generator=source) @ torch.randn(12, 12, generator=source)
    expected = float(torch.linalg.eigvalsh(x.t() @ x / len(x))[-1])
    with torch.inference_mode():
        assert 0.95 * expected < largest_eigenvalue(nn.Linear(12, 5), x) < 1.0001 * expected


def test_convolution_against_its_patches():
    module, x = nn.Conv2d(2, 5, 3, stride=2, padding=1), torch.rand(60, 2, 9, 9)
    patches = nn.functional.unfold(x, 3, stride=2, padding=1).transpose(1, 2).flatten(0, 1)
    expected = torch.linalg.eigvalsh(patches.t() @ patches / len(patches))[-1]
    with torch.inference_mode():
        assert largest_eigenvalue(module, x) == pytest.approx(float(expected), rel=1e-3)


def test_index_is_the_condition_of_the_design():
    x = torch.ones(10, 4)  # lambda_max(E[x x^T]) = 4
    assert stability_index(nn.Linear(4, 2), x, lr=0.1, momentum=0.9, window=3) == pytest.approx(
        0.1 * 4 * 2 / 0.1, rel=1e-4
    )
    assert stability_index(nn.Linear(4, 2), x, lr=0.1, momentum=0.9, window=1) == 0
