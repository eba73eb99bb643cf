"""The commands of the pages: the command line understands all of them, and what is wrong with one is seen."""

from __future__ import annotations

import pytest

from bench import commands, page_commands
from bench.commands import check, short, shortened, why_not
from bench.page_commands import Block, Command, read

PAGE = """# A page

Words, `pipepita words`, and a drawing:

    stage 0 --> stage 1

    pipepita schedule --layers 2 \\
        --json                              # a comment
    pipepita train --address FIRST:6379 ...

```
pipepita rules
```

```python
import pipepita as pp

print(pp.__version__)
```

```toml
lr = 0.1
```
"""


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Writes a page and has it count as one of the project's."""
    path = tmp_path / "README.md"

    def write(text):
        path.write_text(text)
        return path

    for module in (commands, page_commands):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "pages", lambda: [path])
    return write


def test_all_pages_are_understood():
    assert short() == []


def test_what_is_read(page):
    found = [(type(one), one.line, one.text) for one in read(page(PAGE))]
    assert found == [
        (Command, 8, "pipepita schedule --layers 2 --json"),
        (Command, 9, "pipepita train --address FIRST:6379"),
        (Command, 12, "pipepita rules"),
        (Block, 16, "import pipepita as pp\n\nprint(pp.__version__)\n"),
        (Block, 22, "lr = 0.1\n"),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("    pipepita train --epoch 3", "No such option: --epoch"),
        ("    pipepita trian", "unknown command 'trian'"),
        ("    pipepita evaluate", "Missing argument 'RUN_DIR'"),
        ("    python -m bench.nothing", "there is no module bench.nothing"),
        ("    python -m bench hops nothing", "no benchmark is called nothing"),
        ("    cat x | pipepita train", "nothing here knows"),
        ("pipepita train", "not indented"),
        ("```sh\npipepita train\n```", "in a fence without a language"),
        ("    scripts/nothing", "there is no scripts/nothing"),
        ("```python\nimport (\n```", "invalid syntax"),
        ("```toml\nlr =\n```", "Invalid value"),
    ],
)
def test_mistakes_are_seen(page, text, words):
    page(text)
    (line,) = short()
    assert line.startswith("README.md:") and words in line


@pytest.mark.slow
def test_a_page_is_run(page, tmp_path, capsys):
    good = """
    pipepita schedule --layers 2 --json
    sensor | pipepita online --source - --features 6 --classes 10 --engine local > predictions.jsonl
    pipepita simulate --devices "rpi4*2" --link wifi --network fc:16 --samples 40 --timing-only --page page.html

```python
import pipepita
print(pipepita.__version__)
```
"""
    assert check(page(good), None, as_written=False) == (4, 0, 0)
    bad = """
    pipepita schedule --layers 0
    pipepita train --dataset mnist
    : | pipepita online --source - --features 6 --classes 10 --engine local
    pipepita schedule --layers 2 > /dev/null

```python
import pipepita
raise SystemExit(3)
```
"""
    capsys.readouterr()
    assert check(page(bad), None, as_written=False) == (0, 4, 1)
    said = capsys.readouterr().err
    assert "WRONG: exit code 2: error: " in said
    assert "WRONG: /dev/null is missing or empty" in said
    assert "WRONG: exit code 3" in said
    assert "no folder with MNIST" in said


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("pipepita train --epochs 12 --engine local", " --epochs 1"),
        ("pipepita train --resume RUN_DIR", ""),
        ("pipepita reproduce table1 --quick", ""),
        ("pipepita latency --rules all", " --rounds 1 --seconds 0.1"),
        ("PIPEPITA_DATA=DIR python -m bench.race", " --quick"),
        ("pipepita evaluate RUN_DIR", ""),
    ],
)
def test_what_is_long_is_shortened(text, end):
    assert shortened(text) == text + end


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("pipepita evaluate RUN_DIR", True),
        ("pipepita train --dataset folder:DIR", True),
        ("pipepita train --data-dir DIR", False),
        ("pipepita reproduce table1 --quick", False),
        ("python -m bench.plan", False),
        ("python -m bench hops step", False),
        ("python -m bench.hops", True),
        ("scripts/pictures", False),
    ],
)
def test_what_needs_data_is_left_out_without(text, runs):
    assert (why_not(text, None) is None) == runs
