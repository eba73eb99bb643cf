"""`pipepita online` as people use it: items on standard input, predictions on stdout, everything else on stderr."""

from __future__ import annotations

import json
import subprocess
import time

import pytest
from commandline import command, ended, error_of, piped, run, start
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipepita.live.past import Past

OPTIONS = ("--source", "-", "--features", 64, "--classes", 10, "--network", "fc:16", "--schedule", "relaxed")


def lines(data, items: range) -> str:
    return "".join(
        json.dumps({"x": data.x_train[index].flatten().tolist(), "y": int(data.y_train[index])}) + "\n"
        for index in items
    )


@pytest.mark.slow
def test_a_pipe_in_two_parts_ends_as_in_one(few_digits, tmp_path):
    data = few_digits
    bad = "nonsense\n" * 50
    drawn = ("--run-dir", "whole", "--trace", "whole.json", "--timeline", "whole.png")
    whole, said = piped(bad + lines(data, range(60)) + bad, *OPTIONS, *drawn, cwd=tmp_path)
    passes = [event for event in json.loads((tmp_path / "whole.json").read_text())["traceEvents"] if event["ph"] == "X"]
    assert {event["args"]["sample"] for event in passes} >= {*range(60)} and (tmp_path / "whole.png").stat().st_size
    assert [one["id"] for one in whole] == list(range(60)) and len(whole[0]["probabilities"]) == 10
    assert said.count("\n") <= 5 and "line 1 is skipped: neither JSON nor cells of CSV" in said
    assert "100 of no use (neither JSON nor cells of CSV)" in said and "60 learnt from" in said
    first, _ = piped(lines(data, range(25)), *OPTIONS, "--run-dir", "parts", cwd=tmp_path)
    nothing, _ = piped("", "--resume", "parts", cwd=tmp_path)  # what was learnt from before must not come again
    second, _ = piped(lines(data, range(25, 60)), "--resume", "parts", cwd=tmp_path)
    assert nothing == []
    for one, other in zip([*first, *second], whole, strict=True):
        assert {**one, "ms": 0} == {**other, "ms": 0}
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "parts")]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert run("status", "parts", cwd=tmp_path).stdout.splitlines()[1].startswith("done  60 samples")


@pytest.mark.slow
def test_labels_that_are_texts_are_said_as_texts_also_after_a_resume(tmp_path):
    words = (*OPTIONS[:2], "--features", 2, "--classes", 3, "--network", "fc:16", "--schedule", "relaxed")
    sent = ["1,0,cat\n", "0,1,dog\n", "1,1,fox\n"] * 20
    first, _ = piped("".join(sent[:30]), *words, "--run-dir", "run", cwd=tmp_path)
    second, _ = piped("".join(sent[30:]), "--resume", "run", cwd=tmp_path)
    assert first[0]["label"] in ("cat", "dog", "fox", None)
    assert {one["label"] for one in second} <= {"cat", "dog", "fox"}  # all are known from the first part
    assert all(["cat", "dog", "fox"][one["prediction"]] == one["label"] for one in second) and len(second) == 30


@pytest.mark.slow
def test_killed_and_resumed_no_item_is_lost_or_learnt_twice(few_digits, tmp_path, every_case):
    """With labels that come later, or at once. Whatever had been read is on the disk, and is not asked for again."""
    sent, labels = [], few_digits.y_train.tolist()
    for number, x in enumerate(few_digits.x_train.flatten(1).tolist()):
        sent.append(json.dumps({"id": number, "x": x} | ({} if number % 2 else {"y": labels[number]})))
        if number % 2 and number > 4:
            sent.append(json.dumps({"id": number - 4, "y": labels[number - 4]}))
    options = (*OPTIONS[:-2], "--window", 1, "--snapshot-every", 15, "--checkpoint-every", 0)
    whole, _ = piped("\n".join(sent) + "\n", *options, "--run-dir", "whole", cwd=tmp_path)
    printed, first = list[dict](), True
    for stop in (60, 110, 140) if every_case else (70,):
        words = (*options, "--run-dir", "run") if first else ("--resume", "run")
        child = start("online", *words, cwd=tmp_path, stdin=subprocess.PIPE)
        begin = 0 if first else Past.of(tmp_path / "run", None).number
        child.stdin.write("\n".join(sent[begin:]) + "\n")
        child.stdin.flush()
        while not printed or printed[-1]["id"] < stop:
            printed.append(json.loads(child.stdout.readline()))
        child.kill()
        printed += [json.loads(line) for line in child.stdout if line.endswith("}\n")]
        ended(child)
        first = False
    rest = sent[Past.of(tmp_path / "run", None).number :]
    last, said = piped("\n".join(rest) + "\n", "--resume", "run", cwd=tmp_path)
    printed += last
    assert len({one["id"] for one in printed}) == len(printed)
    kept = [json.loads(line) for line in (tmp_path / "run" / "predictions.jsonl").read_text().splitlines()]
    assert [one["id"] for one in kept] == [one["id"] for one in whole] == list(range(150))
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "run")]
    assert results[0]["weights_sha256"] == results[1]["weights_sha256"]
    assert results[0]["steps"] == results[1]["steps"] and "skipped" not in said


@pytest.mark.slow
def test_ctrl_c_ends_it_with_a_checkpoint_and_no_error(tmp_path):
    """A job file of a simulation: the chain's devices say how many stages there are."""
    (tmp_path / "chain.toml").write_text(
        'devices = "rpi4*2"\nlink = "wifi"\nnetwork = "fc:16x2"\nstream = "digits"\nsamples = 100000\nrate = 500\n'
    )
    child = start("online", "chain.toml", "--engine", "local", "--run-dir", "run", "--tensorboard", cwd=tmp_path)
    time.sleep(0.5)
    seen = [child.stdout.readline() for _ in range(20)]
    child.send_signal(2)
    seen += child.stdout.readlines()  # what `ended` would lose: it reads past what has been buffered here
    done = ended(child)
    assert done.returncode == 0 and "stopping after what has arrived" in done.stderr
    predictions = [json.loads(line) for line in seen]
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert [one["id"] for one in predictions] == list(range(result["items"])) and result["stages"] == 2
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == [f"step-{result['steps']:08d}"]
    accumulator = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    (last,) = accumulator.Scalars("online/accuracy")
    assert (last.step, round(last.value, 2)) == (result["steps"], round(result["accuracy"], 2))
    assert run("status", "run", cwd=tmp_path).stdout.count("pipepita online --resume run") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--source", "-", "--classes", 3), "source - needs --features: a network cannot be built without"),
        (("--source", "-", "--features", 3), "source - needs --classes"),
        (("--features", 3), "features needs --source: a stream by name knows its own"),
        (("--source", "-", "--features", "3x", "--classes", 3), "features '3x': write a number like 64, or a shape"),
        (
            ("--source", "file.csv", "--features", 3, "--classes", 3),
            "unknown source 'file.csv': one of -, mqtt:HOST/TOPIC,",
        ),
        (("--source", "tcp:x", "--features", 3, "--classes", 3), "source tcp:x is no address"),
        (("--order", "order.txt", "--batch-size", 2), "order order.txt needs --schedule adaptive and --batch-size 1"),
        (("--order", "order.txt"), "order order.txt cannot be read"),
        (("--trace", "no/a.json"), "trace no/a.json"),
        (("--engine", "gpu"), "unknown engine 'gpu'"),
        (("--stream", "digits", "--classes", 1), "classes '1'"),
        (("--resume", "nothing"), "nothing is not a run folder"),
    ],
)
def test_mistakes_are_one_line(arguments, words, tmp_path):
    done = run("online", *arguments, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert words in error_of(done)
    assert not (tmp_path / "runs").exists()


def test_runs_of_one_kind_are_not_gone_on_with_as_if_of_the_other(tmp_path):
    assert run("train", "--epochs", 1, "--engine", "local", "--run-dir", "run", cwd=tmp_path).returncode == 0
    done = run("online", "--resume", "run", cwd=tmp_path)
    assert done.returncode == 2 and "go on with pipepita train --resume run" in error_of(done)
    assert run("online", "--samples", 20, "--run-dir", "live", cwd=tmp_path).returncode == 0
    for words in (("train", "--resume", "live"), ("evaluate", "live")):
        done = run(*words, cwd=tmp_path)
        assert "live is the folder of an online run, which has no test items: go on with pipepita online" in error_of(
            done
        )


@pytest.mark.slow
def test_an_input_of_which_no_line_is_of_use_is_a_failure(tmp_path):
    words = command("online", "--source", "-", "--features", 7, "--classes", 2)
    done = subprocess.run(words, cwd=tmp_path, input="1,2,3\n" * 5, capture_output=True, text=True, timeout=120)
    said = "error: no line was of use: 5 were refused (the wrong number of cells)"
    assert (done.returncode, done.stdout, done.stderr.splitlines()[-1]) == (1, "", said)
