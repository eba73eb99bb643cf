import threading
import time

import pytest

from pipepita.errors import UserError
from pipepita.live.inbox import Inbox
from pipepita.live.items import Given


def given(number: int) -> Given:
    return Given(number, None, 0)


def ids(inbox: Inbox) -> list[int]:
    return [one.id for one in iter(lambda: inbox.take(0.0), None)]


@pytest.mark.parametrize(("policy", "left"), [("drop-newest", [0, 1]), ("drop-oldest", [3, 4])])
def test_what_is_dropped(policy, left):
    inbox = Inbox(2, policy)
    assert all(inbox.put(given(number)) for number in range(5))
    assert ids(inbox) == left and inbox.dropped == 3


def test_blocking_lets_the_source_wait_and_loses_nothing():
    inbox, done = Inbox(2, "block"), []

    def source():
        for number in range(50):
            inbox.put(given(number))
            done.append(number)
        inbox.end()

    thread = threading.Thread(target=source)
    thread.start()
    time.sleep(0.2)
    assert done == [0, 1] and inbox.waiting() == 2 and not inbox.over  # it feels that nobody takes anything
    taken = []
    while not inbox.over:
        if (one := inbox.take(5.0)) is not None:
            taken.append(one.id)
    thread.join()
    assert taken == list(range(50)) and inbox.dropped == 0


def test_closing_wakes_a_source_that_waits():
    inbox, answers = Inbox(1, "block"), []
    inbox.put(given(0))
    thread = threading.Thread(target=lambda: answers.append(inbox.put(given(1))))
    thread.start()
    inbox.close()
    thread.join(5)
    assert answers == [False] and ids(inbox) == [0]


def test_waiting_ends_with_the_source():
    inbox = Inbox(1, "block")
    assert inbox.take(0.01) is None and not inbox.over
    threading.Timer(0.05, inbox.end).start()
    assert inbox.take(60.0) is None and inbox.over


@pytest.mark.parametrize(("size", "policy", "words"), [(0, "block", "at least 1"), (1, "drop", "unknown queue policy")])
def test_wrong_options(size, policy, words):
    with pytest.raises(UserError, match=words):
        Inbox(size, policy)
