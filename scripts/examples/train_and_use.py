"""Trains a network through two Ray actors, and uses it: it is an ordinary module again.

python scripts/examples/train_and_use.py
"""

import torch
from torch import nn

import pipepita as pp


def main() -> None:
    data = pp.load("digits")  # or "mnist", "cifar10", ...; see own_data.py for your own
    model = nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 256, bias=False),
        nn.ReLU(),
        nn.Linear(256, 256, bias=False),
        nn.ReLU(),
        nn.Linear(256, 10, bias=False),
    )
    result = pp.train(model, data, rule=pp.Pepita(), schedule="streaming", engine="ray", stages=2, epochs=5)
    print(f"{result.test_accuracy:.2f} % of the test items, weights {result.weights_sha256[:12]}")

    with torch.inference_mode():
        answers = model.eval()(data.x_test[:10]).argmax(1)
    print("predicted", answers.tolist())
    print("right    ", data.y_test[:10].tolist())
    torch.save(model.state_dict(), "digits.pt")  # as with any module of torch


if __name__ == "__main__":
    main()
