"""Pipelines with more stages than a window or a channel holds messages."""

from __future__ import annotations

import pytest

import pipepita as pp
from pipepita.network import spec


@pytest.mark.slow
@pytest.mark.rest  # the conformance suite has three stages and one sample in flight
def test_more_stages_than_samples_in_flight(few_digits):
    """One rule for each way of a second pass. The coordinator admits up to 14 samples before it collects an output."""
    engine = pp.RayEngine(6, device="cpu")
    try:
        for rule in (pp.Pepita(), pp.Backprop(), pp.DirectFeedbackAlignment(), pp.TargetProjection()):
            for schedule in ("relaxed", "streaming"):
                options = {"rule": rule, "schedule": schedule, "epochs": 1, "batch_size": 4, "lr": 0.01}
                digests = {
                    pp.train(
                        spec.build("fc:16x5", few_digits.item_shape, 10), few_digits, engine=where, stages=6, **options
                    ).weights_sha256
                    for where in (engine, "local")
                }
                assert len(digests) == 1
    finally:
        engine.close()
