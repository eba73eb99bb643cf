import pytest

import pipepita as pp
from pipepita.runs.options.job import Job
from pipepita.runs.options.reading import checked, read_job


def test_file_then_options_then_assignments(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text('lr = 0.5\nepochs = 3\nbatch-size = 16\nnetwork = "fc:8"\n')
    job = read_job(path, {"epochs": 4}, ["lr=0.25", "schedule=streaming", "normalize=true", "lr-decay=0.1@2"])
    assert (job.lr, job.epochs, job.batch_size, job.network) == (0.25, 4, 16, "fc:8")
    assert (job.schedule, job.normalize, job.lr_decay) == ("streaming", True, "0.1@2")


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("lr=fast", "lr 'fast': input should be a valid number"),
        ("lr=-1", "lr -1: input should be greater than or equal to 0"),
        ("lr=1e300", "lr 1e\\+300: input should be less than"),
        ("threads=1000000", "threads 1000000"),
        ("optimizer=sgd:momentum=2", "momentum 2 is not in"),
        ("lr_decay=1e200@1,1", "lr_decay '1e200@1,1' cannot be read"),
        ("lr=nan", "lr nan: input should be a finite number"),
        ("learning_rate=1", "unknown option 'learning_rate'"),
        ("epoch=1", "unknown option 'epoch'.*did you mean 'epochs'"),
        ("epochs=0", "epochs 0"),
        ("epochs=true", "epochs true: it takes a value"),
        ("epochs=1.5", "epochs 1.5"),
        ("batch_size=0", "batch_size 0"),
        ("window=0", "window 0"),
        ("schedule=lazy", "unknown schedule 'lazy'"),
        ("rule=pepito", "unknown rule 'pepito'.*did you mean 'pepita'"),
        ("rule=pepita:form=diff", "rule pepita: unknown form 'diff'"),
        ("rule=bpp", "unknown rule 'bpp'.*did you mean 'bp'"),
        ("rule=pepita:keep_signs=true", "rule pepita: unknown option 'keep_signs': one of compare, error, f_scale"),
        ("rule=pepita:mirror=-1", "rule pepita: mirror -1"),
        ('rule={name="pepita", mirror=1.5}', "rule pepita: mirror 1.5 is not a whole number"),
        ("rule=pepita:,,", "rule 'pepita:,,': '' is not option=value"),
        ("rule={mirror=1}", "rule {'mirror': 1}: write it like"),
        ("modulate=all", "unknown option 'modulate'"),
        ("engine=spark", "unknown engine 'spark'"),
        ("device=tpu", "device 'tpu'"),
        ("optimizer=sdg", "unknown optimizer 'sdg'"),
        ("activation=relux", "unknown activation 'relux'"),
        ("dropout=1", "dropout 1"),
        ("lr_decay=0.1", "lr_decay '0.1' cannot be read: write it like 0.1@60"),
        ("lr_decay=0.1@0", "lr_decay '0.1@0' cannot be read"),
        ("lr", "'lr' is not key=value"),
    ],
)
def test_refuses_in_one_line(assignment, words):
    with pytest.raises(pp.UserError, match=words) as error:
        read_job(None, {}, [assignment])
    assert "\n" not in str(error.value)


def test_a_rule_is_a_text_or_a_table_in_a_file_too(tmp_path):
    path = tmp_path / "job.toml"
    for text in ('rule = "pepita:modulate=all,mirror=3"', '[rule]\nname = "pepita"\nmodulate = "all"\nmirror = 3'):
        path.write_text(f"lr = 0.03\n{text}\n")
        job = read_job(path, {}, [])
        assert (job.lr, job.make_rule()) == (0.03, pp.Pepita(modulate="all", mirror=3))
        assert read_job(path, {"rule": "bp"}, []).make_rule() == pp.Backprop()


def test_bad_files(tmp_path):
    with pytest.raises(pp.UserError, match="does not exist"):
        read_job(tmp_path / "none.toml", {}, [])
    path = tmp_path / "bad.toml"
    path.write_text("lr = = 3")
    with pytest.raises(pp.UserError, match="cannot be read"):
        read_job(path, {}, [])
    path.write_text("batch_size = 3\nbatch-size = 4")
    with pytest.raises(pp.UserError, match="has both batch-size and batch_size: leave one out"):
        read_job(path, {}, [])
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(pp.UserError, match="cannot be read"):
        read_job(path, {}, [])


def test_learning_rate_decays_after_the_named_epochs():
    job = checked(Job, {"lr": 1.0, "lr_decay": "0.1@2,4"})
    assert [job.rate_in(epoch) for epoch in range(1, 7)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
