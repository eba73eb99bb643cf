"""What a run keeps of a live source, so that it learns from each sample exactly once."""

import torch

from pipepita.live.kept import Kept


class Ticks:
    """A feed of numbered samples, which cannot be had twice. kinds: L has a label, U has none."""

    def __init__(self, kinds: str) -> None:
        self._kinds, self._next = kinds, 0
        self.heard: list[str] = []

    @property
    def over(self) -> bool:
        return self._next == len(self._kinds)

    def waiting(self) -> bool:
        return not self.over

    def take(self):
        number, self._next = self._next, self._next + 1
        return torch.tensor([number]), torch.tensor([0]) if self._kinds[number] == "L" else None

    def answer(self, step, output, there):
        self.heard.append(f"answer {step}")

    def predicted(self, output, there):
        self.heard.append("predicted")


def numbers(kept: Kept) -> list[int]:
    return [int(sample[0]) for sample in iter(kept.take, None)]


def test_samples_since_the_mark_come_again():
    kept = Kept(Ticks("LLLLL"), lambda samples: samples == 3)
    assert numbers(kept) == [0, 1, 2] and not kept.ended and kept.waiting()
    kept.again()
    assert numbers(kept) == [0, 1, 2]
    kept.mark()
    assert numbers(kept) == [3, 4] and kept.ended
    kept.again()
    assert numbers(kept) == [3, 4]


def test_each_output_is_passed_on_once():
    ticks = Ticks("LUL")
    kept = Kept(ticks, lambda samples: False)
    assert numbers(kept) == [0, 1, 2]
    kept.answer(0, torch.zeros(1), 0.0)
    kept.again()  # the one without a label was not answered yet
    assert numbers(kept) == [1, 0, 2]
    kept.answer(0, torch.zeros(1), 0.0)
    kept.predicted(torch.zeros(1), 0.0)
    kept.answer(1, torch.zeros(1), 0.0)
    assert ticks.heard == ["answer 0", "predicted", "answer 1"]
    kept.again()
    assert numbers(kept) == [0, 2]
