"""What is searched: how it is written, and what is refused before the first trial."""

import pytest

from pipepita.errors import UserError
from pipepita.rules import BUILT_IN, registry
from pipepita.runs.options.job import Job
from pipepita.tuning import space
from pipepita.tuning.space import Choice, Each, Logarithmic, Uniform


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("lr=log:1e-4..1", {"lr": Logarithmic(1e-4, 1)}),
        ("dropout = 0..0.5", {"dropout": Uniform(0, 0.5)}),
        ("batch-size=16..128", {"batch_size": Uniform(16, 128)}),
        ("optimizer=sgd:momentum=0.9|adam", {"optimizer": Choice(("sgd:momentum=0.9", "adam"))}),
        ("lr=each:0.1|0.01", {"lr": Each((0.1, 0.01))}),
        ("standardize=true|false", {"standardize": Choice((True, False))}),
        ("rule.f_scale=0.05|0.1", {"rule.f_scale": Choice((0.05, 0.1))}),
        ("rule=pepita:modulate=all,form=stash|dfa", {"rule": Choice(("pepita:modulate=all,form=stash", "dfa"))}),
    ],
)
def test_it_is_read(text, way):
    assert space.parse([text]) == way


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "nothing is searched"),
        (["lr"], "search 'lr' cannot be read: write it like"),
        (["lr="], "cannot be read"),
        (["lr=a..b"], "cannot be read"),
        (["lr=0.1..inf"], "cannot be read"),
        (["lr=1..0.1"], "its lower end must be below the upper one"),
        (["lr=log:0..1"], "its lower end must be above 0 and below"),
        (["lr=lgo:0.1..1"], r"unknown way to draw 'lgo': did you mean 'log'\? It is one of log"),
        (["lrr=0..1"], "unknown option 'lrr'.*did you mean 'lr'"),
        (["run-dir=a|b"], "unknown option 'run_dir'"),
        (["epochs=1..3"], "epochs is the same for all trials"),
        (["seed=1|2"], "seed is the same for all trials"),
        (["lr=0..1", "lr=0.1|0.2"], "lr is searched already"),
    ],
)
def test_what_cannot_be_searched_is_refused(texts, words):
    with pytest.raises(UserError, match=words):
        space.parse(texts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lr=-1..1", "lr -1"),
        ("dropout=0..1", "dropout 1"),
        ("optimizer=sgd|adma", "adma"),
        ("rule.f_scael=1|2", "unknown option 'f_scael'.*did you mean 'f_scale'"),
        ("rule.f_scale=-1..2", "f_scale -1"),
        ("batch-size=0.5..2", "batch_size 0.5"),
        ("network=fc:8|cf:8", "cf:8"),
    ],
)
def test_each_end_must_be_allowed_in_the_job(text, words, digits):
    with pytest.raises(UserError, match=words):
        space.check(space.parse([text]), Job(), digits)


def test_an_option_of_the_rule_joins_those_that_the_job_gives():
    found = space.settled(Job(rule="pepita:modulate=all,feedback=fixed"), {"rule.f_scale": 0.2, "lr": 0.3})
    assert found.make_rule() == registry.read("pepita:modulate=all,feedback=fixed,f_scale=0.2")
    assert found.lr == 0.3
    table = space.settled(Job(rule={"name": "bp"}), {"rule.form": "textbook"})
    assert table.make_rule() == registry.read("bp:form=textbook")


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("layers", [2, 5])
def test_what_a_rule_itself_names_can_be_searched(name, layers, digits):
    job = Job(rule=name)
    own = job.make_rule().defaults(layers)
    found = space.parse(own.search)
    space.check(found, job, digits)
    assert found["lr"].low < own.lr < found["lr"].high
