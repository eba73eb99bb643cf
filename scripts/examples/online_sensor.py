"""Learns from a sensor while it drifts: each reading is predicted as it arrives, and then learnt from.

python scripts/examples/online_sensor.py
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

import pipepita as pp

READINGS, DRIFT = 3000, 1500


def sensor() -> Iterator[tuple[np.ndarray, int]]:
    """Eight channels, and which of three machines is heard; from some reading on, two channels are exchanged."""
    source = np.random.default_rng(0)
    voices = source.normal(0, 1, (3, 8))
    for number in range(READINGS):
        machine = int(source.integers(3))
        reading = voices[machine] + source.normal(0, 0.7, 8)
        if number >= DRIFT:
            reading[[0, 1]] = reading[[1, 0]]
        yield reading.astype(np.float32), machine


def main() -> None:
    model = pp.build("fc:32", (8,), 3)
    right: deque[bool] = deque(maxlen=300)
    labels = (label for _, label in sensor())  # in life: whatever tells you later
    predictions = pp.online(model, sensor(), rule=pp.Pepita(), lr=0.02, classes=3)
    for number, (prediction, label) in enumerate(zip(predictions, labels, strict=True), start=1):
        right.append(prediction.prediction == label)
        if number % 300 == 0:
            print(f"reading {number}: {100 * sum(right) / len(right):.0f} % of the last {len(right)} right")


if __name__ == "__main__":
    main()
