import pytest
import torch
from torch import nn

from pipepita.stability import largest_eigenvalue, stability_index


def test_linear_against_eigvalsh():
    x = torch.randn(400, 12) @ torch.randn(12, 12)
    expected = torch.linalg.eigvalsh(x.t() @ x / len(x))[-1]
    with torch.inference_mode():
        assert largest_eigenvalue(nn.Linear(12, 5), x) == pytest.approx(float(expected), rel=1e-3)


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
