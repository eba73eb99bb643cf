"""Reads what a run wrote about itself, with pandas.

pipepita train --epochs 5 --run-dir run
python scripts/examples/read_metrics.py run
"""

import json
import sys
from pathlib import Path

import pandas as pd


def main(run: Path) -> None:
    about = json.loads((run / "run.json").read_text())
    metrics = pd.read_json(run / "metrics.jsonl", lines=True)  # one line per epoch
    print(metrics[["epoch", "train_loss", "test_accuracy"]].to_string(index=False))
    best = metrics.loc[metrics.test_accuracy.idxmax()]
    print(f"best: epoch {best.epoch:.0f}, {best.test_accuracy:.2f} %, rule {about['rule']}")
    events = run / "events.jsonl"
    if events.exists():  # restarts, if a stage was lost
        print(pd.read_json(events, lines=True).to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
