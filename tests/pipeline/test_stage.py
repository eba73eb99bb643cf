"""A stage computes with the threads that its task says, and leaves torch as it was."""

from __future__ import annotations

import pytest
import torch

from pipepita.pipeline.stage import compute_mode


def test_compute_mode_puts_threads_and_autograd_back_even_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), compute_mode(before + 2):
        assert torch.get_num_threads() == before + 2
        assert not torch.is_grad_enabled()
        raise KeyError
    assert torch.get_num_threads() == before
    assert torch.is_grad_enabled()
