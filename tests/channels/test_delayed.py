"""An emulated link on a channel: messages come late and in order, and the sender does not wait."""

import time

import torch

from pipepita.channels import header
from pipepita.channels.channel import END, EVALUATE
from pipepita.channels.delayed import DelayedInlet, Origin
from pipepita.channels.memory import MemoryChannel
from pipepita.schedule import STANDARD

LATE = 0.5


class Constant:
    def __init__(self):
        self.sizes = []

    def arrives(self, sent, size):
        self.sizes.append(size)
        return sent + LATE


def test_a_message_arrives_when_the_link_says_and_not_before():
    channel, delay = MemoryChannel(), Constant()
    inlet = DelayedInlet(channel, delay, Origin())
    began = time.perf_counter()
    for step in range(3):
        channel.send(STANDARD, step, torch.ones(2, 5))
    sent = time.perf_counter() - began
    arrived = []
    for step in range(3):
        message = inlet.receive()
        arrived.append(time.perf_counter() - began)
        assert message.step == step and torch.equal(message.tensor, torch.ones(2, 5))
        assert LATE <= message.sent / 1e9 - began <= LATE + sent + 1e-6
    assert sent < LATE / 2
    assert LATE <= arrived[0] <= arrived[2]
    assert arrived[2] - arrived[0] < LATE  # they were on their way at the same time
    assert delay.sizes == [header.SIZE + 40] * 3


def test_the_link_counts_from_when_the_run_began():
    class Clock(Constant):
        def arrives(self, sent, size):
            self.sizes.append(sent)
            return sent

    channel, clock = MemoryChannel(), Clock()
    inlet = DelayedInlet(channel, clock, Origin(time.perf_counter() - 100))
    channel.send(STANDARD, 0)
    inlet.receive()
    assert 100 < clock.sizes[0] < 101


def test_what_is_no_part_of_training_is_not_delayed():
    channel, delay = MemoryChannel(), Constant()
    inlet = DelayedInlet(channel, delay, Origin())
    for kind in (EVALUATE, END):
        channel.send(kind, 0)
        assert inlet.receive().kind == kind
    assert delay.sizes == []
