import json
from pathlib import Path

import pytest
from commandline import error_of, run

SMALL = ("simulate", "--devices", "cortex-m4*2", "--network", "fc:32", "--samples", "60")


@pytest.fixture(scope="module")
def summary(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("simulate")
    done = run(*SMALL, "--drift", "remap@30", "--detector", "adwin", "--rate", "400", "--policy", "drop-newest",
               "--plot", "all.png", "--page", "all.html", "--json", cwd=folder)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "all.png").read_bytes().startswith(b"\x89PNG")
    assert "<html" in (folder / "all.html").read_text()
    assert "written: all.png, all.html" in done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_json_has_every_figure(summary):
    assert list(summary["setups"]) == ["locked", "relaxed", "streaming", "adaptive", "one device"]
    for setup in summary["setups"].values():
        assert setup["offered"] == 60 and 0 < setup["served"] <= 60
        assert setup["capacity"] > 0 and setup["joules_per_sample"] > 0
        assert set(setup["prediction_ms"]) == {"p50", "p95", "p99", "queue", "compute", "transfer", "label"}
        for device in setup["devices"]:
            assert 0 <= device["busy_share"] <= 1 and 0 < device["memory_bytes"] < device["ram_bytes"]
        assert len(setup["weights_sha256"]) == 64
    assert summary["setups"]["locked"]["capacity_over_locked"] == 1
    assert summary["drifts"][0][0] == 30


@pytest.mark.slow
def test_the_same_command_is_the_same_object(summary, tmp_path):
    again = run(*SMALL, "--drift", "remap@30", "--detector", "adwin", "--rate", "400", "--policy", "drop-newest",
                "--json", cwd=tmp_path)  # fmt: skip
    second = json.loads(again.stdout)
    for name, setup in second["setups"].items():  # curves come with a picture
        assert setup.pop("rates") == [] and summary["setups"][name].pop("rates") != []
    assert second == summary
    assert list(tmp_path.iterdir()) == []


def test_tables_are_narrow_enough_for_a_terminal(tmp_path):
    done = run(*SMALL, cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert "capacity /s" in done.stdout and "update: transfer" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_scenario_from_a_file(tmp_path):
    (tmp_path / "chain.toml").write_text(
        'devices = "mine*2"\nnetwork = "fc:32"\nsamples = 20\nlink = "delay 1ms"\nprofiles = "mine.toml"\n'
    )
    (tmp_path / "mine.toml").write_text(
        '[devices.mine]\nflops = "1G"\nbandwidth = "1G"\nram = "1M"\nidle_watts = 1\nactive_watts = 2\n'
    )
    done = run("simulate", "chain.toml", "--set", "samples=30", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["setups"]["locked"]["offered"] == 30


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--devices", "rpi4,coral"), "device 'coral' cannot train: 8-bit inference only"),
        (("--devices", "cortex-m4*2", "--network", "fc:4096"), "has 249 kB, but layer 1"),
        (("--devices", "rpi9"), "unknown device 'rpi9'"),
        (("--link", "wify"), "did you mean 'wifi'?"),
        (("--rate", "-1"), "rate"),
        (("--rate", "5", "--policy", "drop"), "unknown queue policy 'drop'"),
        (("--trouble", "pause@5-3"), "ends at 3 s"),
        (("--profiles", "missing.toml"), "missing.toml"),
        (("--samples", "3"), "samples"),
        (("--set", "dataset=mnist"), "option 'dataset' is an option of train"),
        (("--timing-only", "--validate"), "give only one of them"),
        (("--page", "no/such/folder.html"), "no/such"),
        (("--stream", "river:Nothing"), "Nothing"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(options, words, tmp_path):
    assert words in error_of(run("simulate", *options, cwd=tmp_path))


@pytest.mark.slow
def test_real_time_too(lent_engine, tmp_path):
    small = ("--devices", "cortex-m4*2", "--network", "fc:32", "--samples", "20")
    done = run("simulate", *small, "--validate", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    validation = json.loads(done.stdout)["validation"]
    assert list(validation) == ["locked", "relaxed", "streaming", "adaptive"]
    assert all(one["same_weights"] for one in validation.values())
    assert not Path(tmp_path, "runs").exists()


@pytest.mark.slow
def test_train_on_a_chain_in_real_time_ends_with_the_same_bits(lent_engine, tmp_path):
    job = ("train", "--network", "fc:32", "--epochs", "1", "--batch-size", "64", "--json", "--seed", "3")
    plain = run(*job, "--engine", "local", "--run-dir", "a", cwd=tmp_path)
    chain = run(*job, "--devices", "cortex-m7*2", "--link", "delay 5ms", "--run-dir", "b", cwd=tmp_path)
    assert plain.returncode == chain.returncode == 0, plain.stderr + chain.stderr
    plain, chain = json.loads(plain.stdout), json.loads(chain.stdout)
    assert chain["weights_sha256"] == plain["weights_sha256"]
    assert chain["step_ms"]["p50"] > 10  # two hops: up, and back with the output
    assert chain["stages"] == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--link", "wifi"), "link 'wifi' needs --devices"),
        (("--devices", "rpi4*2", "--stages", "2"), "stages 2: --devices decides this, so leave it out"),
        (("--devices", "rpi4*2", "--engine", "local"), "need --engine ray, not local"),
        (("--devices", "rpi4*5"), "5 devices for 2 layers"),
    ],
)
def test_train_says_what_is_wrong_with_a_chain(options, words, tmp_path):
    assert words in error_of(run("train", *options, "--run-dir", "r", cwd=tmp_path))
