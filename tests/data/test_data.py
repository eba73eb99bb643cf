import shutil

import numpy as np
import pytest
import torch

import pipepita as pp


def arrays(**changes):
    x, y = np.random.default_rng(0).random((6, 4), np.float32), np.array([0, 1, 2, 0, 1, 2])
    return {"x_train": x, "y_train": y, "x_test": x[:3].copy(), "y_test": y[:3], **changes}


def with_value(x: np.ndarray, index: int, value: float) -> np.ndarray:
    x = x.copy()
    x[index, 1] = value
    return x


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"y_train": np.array([0, 1, 2, 0, 1, -1])}, r"y_train\[5\] is -1: labels go from 0 to 2"),
        ({"y_test": np.array([0, 3, 1])}, r"y_test\[1\] is 3: labels go from 0 to 2"),
        ({"y_train": np.array([-5, -4, -3, -3, -3, -3])}, r"y_train\[0\] is -5: labels begin at 0"),
        ({"y_train": np.array([0, 1, 2**40, 0, 1, 1])}, r"y_train\[2\] is 1099511627776: labels are below 1000000"),
        ({"y_train": np.array([0, 1, 2])}, "x_train has 6 items but y_train 3 labels"),
        ({"y_train": np.zeros(6)}, r"y_train is torch.float32 and y_test torch.int64: both must be classes"),
        ({"y_train": np.zeros((6, 2, 1))}, r"y_train is torch.float64 of shape .*of integers, or .*floats"),
        ({"y_train": np.zeros((6, 2)), "y_test": np.zeros(3)}, "y_test has 1 numbers per item: it must have 2"),
        ({"y_train": np.array([0, 0, 0, 0, np.nan, 0]), "y_test": np.zeros(3)}, r"y_train\[4\] holds a NaN"),
        ({"y_train": np.full(6, 1e300), "y_test": np.zeros(3)}, r"y_train\[0\] holds a NaN or an infinite"),
        ({"y_train": np.zeros(6), "y_test": np.zeros(3), "classes": 2}, "y_train has 1 numbers per item"),
        ({"y_train": np.zeros((6, 1), int)}, r"y_train is torch.int64 of shape \(6, 1\)"),
        ({"x_train": with_value(arrays()["x_train"], 3, np.nan)}, r"x_train\[3\] holds a NaN"),
        ({"x_test": with_value(arrays()["x_test"], 2, -np.inf)}, r"x_test\[2\] holds a NaN or an infinite"),
        ({"x_train": np.full((6, 4), 1e300)}, r"x_train\[0\] holds a NaN or an infinite"),
        ({"y_train": np.zeros(0, int)}, "x_train has 6 items but y_train 0 labels"),
        ({"classes": 3.5}, "classes is 3.5: it must be a whole number"),
        ({"classes": "3"}, "classes is '3'"),
        ({"x_train": torch.zeros(6, 4, device="meta")}, "x_train cannot become a tensor"),
        ({"x_test": np.zeros((3, 5), np.float32)}, r"x_test holds items of \(5,\), x_train of \(4,\)"),
        ({"x_train": np.zeros((0, 4), np.float32)}, "not empty"),
        ({"x_train": np.zeros(6, np.float32)}, "must be"),
        ({"x_train": np.zeros((6, 4), int)}, "x_train is torch.int64: it must be floats, or uint8"),
        ({"x_train": np.array(["a"] * 6)}, "x_train cannot become a tensor"),
        ({"y_train": np.zeros(6, int), "y_test": np.zeros(3, int)}, "1 class: training needs at least 2"),
    ],
)
def test_refuses(changes, words):
    with pytest.raises(pp.UserError, match=words):
        pp.Data(**arrays(**changes))


def test_floats_are_numbers_to_be_predicted(tmp_path):
    numbers = arrays(y_train=np.arange(6.0), y_test=[0.5, 1.5, 2.5])
    np.savez(tmp_path / "numbers.npz", **numbers)
    for data in (pp.Data(**numbers), pp.load(f"npz:{tmp_path / 'numbers.npz'}")):
        assert data.regression and data.classes == 1
        assert (data.y_train.dtype, data.y_train.shape) == (torch.float32, (6, 1))
        assert data.y_test.tolist() == [[0.5], [1.5], [2.5]]
        assert data.first(4, seed=0).regression
    assert pp.Data(**arrays(y_train=np.zeros((6, 3)), y_test=np.zeros((3, 3)))).classes == 3
    assert not pp.Data(**arrays()).regression


def test_bytes_are_scaled_to_0_to_1_and_floats_are_kept():
    data = pp.Data(**arrays(x_train=np.full((6, 4), 255, np.uint8), x_test=np.full((3, 4), -2.5)))
    assert data.x_train.eq(1).all()
    assert data.x_test.eq(-2.5).all()
    assert (data.x_train.dtype, data.y_train.dtype, data.classes) == (torch.float32, torch.int64, 3)


def test_any_layout_of_array_will_do():
    x = arrays()["x_train"]
    expected = pp.Data(**arrays()).x_train.flip(0)
    for reversed_ in (x[::-1], x[::-1].astype(">f4"), torch.from_numpy(x[::-1].copy()).to_sparse()):
        assert torch.equal(pp.Data(**arrays(x_train=reversed_)).x_train, expected)


def test_digits_are_there_offline(digits):
    assert (len(digits.x_train), len(digits.x_test)) == (1442, 355)
    assert digits.item_shape == (1, 8, 8)
    assert (float(digits.x_train.min()), float(digits.x_train.max())) == (0, 1)
    assert torch.bincount(digits.y_test).min() >= 34


def test_npz(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, **arrays())
    data = pp.load(f"npz:{path}")
    assert torch.equal(data.x_train, torch.from_numpy(arrays()["x_train"]))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(pp.UserError, match="not a readable .npz"):
        pp.load(f"npz:{path}")
    np.savez_compressed(path, **arrays(x_train=np.random.default_rng(0).random((600, 4))))
    data = bytearray(path.read_bytes())
    data[400:500] = bytes(byte ^ 255 for byte in data[400:500])
    path.write_bytes(data)
    with pytest.raises(pp.UserError, match="not a readable .npz"):
        pp.load(f"npz:{path}")
    np.savez(path, x_train=1, y_train=2)
    with pytest.raises(pp.UserError, match="lacks x_test, y_test"):
        pp.load(f"npz:{path}")
    np.savez(path, **arrays(x_train=np.array([{}] * 6)))  # would need pickle
    with pytest.raises(pp.UserError, match="not a readable .npz"):
        pp.load(f"npz:{path}")
    with pytest.raises(pp.UserError, match="does not exist"):
        pp.load("npz:nowhere.npz")


def test_unknown_and_missing(tmp_path):
    with pytest.raises(pp.UserError, match="unknown dataset 'minst'.*did you mean 'mnist'"):
        pp.load("minst")
    for name in ("mnist", "fashion-mnist", "cifar10", "cifar100"):
        with pytest.raises(pp.UserError, match=f"{name}.*--data-dir"):
            pp.load(name, data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_mnist_and_cifar(data_dir):
    mnist = pp.load("mnist", data_dir=data_dir)
    assert (mnist.x_train.shape, mnist.x_test.shape) == ((60000, 1, 28, 28), (10000, 1, 28, 28))
    assert float(mnist.x_train.mean()) == pytest.approx(0.1307, abs=1e-4)
    cifar = pp.load("cifar10", data_dir=data_dir)
    assert (cifar.x_train.shape, cifar.x_test.shape) == ((50000, 3, 32, 32), (10000, 3, 32, 32))
    assert cifar.x_train.mean((0, 2, 3)).tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)


def test_truncated_file_is_named(data_dir, tmp_path):
    shutil.copytree(data_dir / "MNIST", tmp_path / "MNIST")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(pp.UserError, match="mnist in .* is missing, damaged or truncated"):
        pp.load("mnist", data_dir=tmp_path)


def test_random_items_are_the_same_every_time():
    one, other = pp.load("random:3x8x8"), pp.load("random:3x8x8")
    assert one.item_shape == (3, 8, 8)
    assert one.classes == 10
    assert torch.equal(one.x_train, other.x_train)
    assert torch.equal(one.y_train, other.y_train)


@pytest.mark.parametrize(
    "name", ["random:", "random:a", "random:0", "random:3x-1", "random:99999999", "random:1x1x1x1x1x1"]
)
def test_random_items_of_no_shape(name):
    with pytest.raises(pp.UserError, match="random"):
        pp.load(name)


def test_digits_are_those_of_scikit_learn_with_and_without_its_file(digits, monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.setattr("pipepita.data.sets._DIGITS", "moved")
    from_function = pp.load("digits")
    for part in ("x_train", "y_train", "x_test", "y_test"):
        assert torch.equal(getattr(digits, part), getattr(from_function, part))
    x, y = load_digits(return_X_y=True)
    assert sorted(map(bytes, (x / 16).astype("float32"))) == sorted(
        bytes(item.flatten().numpy()) for item in torch.cat([digits.x_train, digits.x_test])
    )
    assert sorted(y) == sorted(torch.cat([digits.y_train, digits.y_test]).tolist())


def test_items_that_are_held_out_are_tested_on_and_never_learnt_from():
    data = pp.load("digits")
    held = data.validating(0.25)
    assert held.items.train_items == 1082 and held.items.test_items == 360
    everything = torch.cat([held.x_train, held.x_test]).flatten(1)
    assert sorted(map(tuple, everything.tolist())) == sorted(map(tuple, data.x_train.flatten(1).tolist()))
    assert held.classes == data.classes and held.name == data.name
    assert torch.equal(held.x_test, data.validating(0.25).x_test)  # the same ones for every run
    assert data.validating(0) is data
    for share in (0.0001, 0.9999):
        with pytest.raises(pp.UserError, match=f"validation {share}: of 1442 training items"):
            data.validating(share)


def test_a_run_with_items_held_out_is_resumed_and_evaluated_on_the_same_ones(tmp_path):
    data = pp.load("digits")
    model = pp.build("fc:16", data.item_shape, 10)
    once = pp.train(model, data, engine="local", epochs=2, validation=0.25, run_dir=tmp_path / "run")
    assert once.validation == 0.25 and once.items == 2 * 1082
    assert pp.evaluate(tmp_path / "run")["items"] == 360
    assert pp.evaluate(tmp_path / "run")["test_accuracy"] == once.test_accuracy
    on = pp.resume(tmp_path / "run", epochs=3)
    whole = pp.train(pp.build("fc:16", data.item_shape, 10), data, engine="local", epochs=3, validation=0.25)
    assert on.weights_sha256 == whole.weights_sha256 and on.test_accuracy == whole.test_accuracy


def test_a_named_data_set_may_lie_there_as_a_numpy_file(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (8, 3, 4, 4), np.uint8), np.arange(8) % 4
    np.savez(tmp_path / "cifar100.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    data = pp.load("cifar100", data_dir=tmp_path)
    assert (data.name, data.item_shape, data.file) == ("cifar100", (3, 4, 4), tmp_path / "cifar100.npz")
    assert data.validating(0.25).file == data.first(4, seed=0).file == data.file
    with pytest.raises(pp.UserError, match="cifar10 is not in"):
        pp.load("cifar10", data_dir=tmp_path)
    (tmp_path / "cifar100.npz").write_bytes(b"PK")
    with pytest.raises(pp.UserError, match="not a readable .npz file"):
        pp.load("cifar100", data_dir=tmp_path)
    assert pp.load("digits").file is None


def test_data_say_what_they_are(few_digits):
    words = "<Data few digits: 150 training and 40 test items of 1 x 8 x 8, 10 classes>"
    x, y = few_digits.x_train[:2], torch.rand(2, 3)
    assert repr(few_digits) == words
    assert repr(pp.Data(x, y, x, y)).endswith("2 training and 2 test items of 1 x 8 x 8, 3 numbers each>")


def test_a_wrong_item_far_behind_is_named_by_its_own_number():
    x = np.zeros((5000, 1), np.float32)
    x[4500] = np.nan
    with pytest.raises(pp.UserError, match=r"x_train\[4500\] holds a NaN"):
        pp.Data(x, np.arange(5000) % 2, x[:4], np.arange(4) % 2)
