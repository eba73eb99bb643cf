import time
from types import SimpleNamespace

import pytest
import torch

import pipepita as pp
from pipepita.errors import UserError
from pipepita.network import spec
from pipepita.pipeline.emulation import Device, PacedLearner
from pipepita.pipeline.pace import Pace, paces


def test_one_number_or_one_per_layer():
    assert paces(None, None, 3) == []
    assert paces("10", None, 2) == [Pace(0.01, 0.0)] * 2
    assert paces("10", "20,40", 2) == [Pace(0.01, 0.02), Pace(0.01, 0.04)]


@pytest.mark.parametrize("text", ["", "ten", "-1", "nan", "inf", "60001", "1,,2", "1,2"])
def test_refuses_what_is_not_a_time(text):
    with pytest.raises(UserError, match="standard_ms"):
        paces(text, None, 3)


def test_a_pass_begins_when_its_message_was_sent_and_the_device_is_free():
    """Time that has passed since the message was sent counts; a busy device finishes its own work first."""
    device, now = Device(), time.perf_counter()
    device.arrives(int((now - 0.01) * 1e9))
    device.takes(0.02)
    assert time.perf_counter() >= now + 0.01
    device.arrives(int((now - 0.01) * 1e9))  # it came while the device was busy
    device.takes(0.02)
    assert time.perf_counter() >= now + 0.03


def test_a_slow_host_is_never_faster_than_the_device():
    device = Device()
    device.arrives(0)
    began = time.perf_counter()
    time.sleep(0.02)
    device.takes(0.01)
    device.arrives(int(began * 1e9))
    device.takes(0.01)
    assert time.perf_counter() - began >= 0.03


def test_a_look_ahead_takes_time_only_while_another_sample_is_in_flight():
    nothing = SimpleNamespace(layer=None, heads=(), standard=lambda *_: None, second=lambda *_: None)
    took = []
    learner = PacedLearner(nothing, Pace(1.0, 2.0, ahead=0.25), SimpleNamespace(takes=took.append))
    for step in (0, 1):
        learner.standard(step, torch.zeros(1))
    for step in (0, 1):
        learner.second(step, None, None)
    learner.standard(2, torch.zeros(1))
    assert took == [1.0, 1.25, 2.0, 2.0, 1.0]
    learner.begin()
    learner.standard(3, torch.zeros(1))
    assert took[-1] == 1.0


def test_emulation_changes_no_weight(few_digits):
    digests = [
        pp.train(
            spec.build("fc:16x2", few_digits.item_shape, 10),
            few_digits,
            engine="local",
            epochs=1,
            batch_size=50,
            **slow,
        ).weights_sha256
        for slow in ({}, {"standard_ms": "1,2,3", "modulated_ms": "2"})
    ]
    assert digests[0] == digests[1]


def test_every_pass_takes_at_least_its_time(few_digits):
    began = time.perf_counter()
    model = spec.build("fc:8", few_digits.item_shape, 10)
    result = pp.train(model, few_digits, engine="local", epochs=1, batch_size=50, standard_ms="10", modulated_ms="5,15")
    assert result.steps == 3
    assert time.perf_counter() - began >= 3 * (10 + 10 + 5 + 15) / 1000


def test_wrong_number_of_layers(few_digits):
    with pytest.raises(UserError, match="2 numbers for 3 layers"):
        pp.train(spec.build("fc:8x2", (1, 8, 8), 10), few_digits, engine="local", epochs=1, standard_ms="1,2")
