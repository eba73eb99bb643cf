import threading
import time

import torch

from pipepita.edge.arrivals import times
from pipepita.live.inbox import Inbox
from pipepita.live.pairs import Pairs


def test_pairs_come_at_their_rate_and_can_be_ended():
    inbox = Inbox(100, "block")
    items = [(torch.tensor([float(number)]), number % 2) for number in range(5)]
    began = time.perf_counter()
    Pairs(items, times(200.0, "fixed", 0)).feed(inbox)
    arrived = [inbox.take(0.0).at for _ in range(5)]
    assert all(at >= began + 0.005 * (number + 1) for number, at in enumerate(arrived))  # later perhaps, earlier never
    slow = Pairs(items, times(0.01, "poisson", 0))
    waiting = threading.Thread(target=slow.feed, args=(inbox,))
    waiting.start()
    slow.close()
    waiting.join(10)
    assert not waiting.is_alive() and inbox.waiting() == 0
