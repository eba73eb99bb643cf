"""PEPITA in plain NumPy and float64, with loops, written from the paper's equations independently of the package.

A layer is a dict: {"w": (out, in) or (out, in, k, k), "pool": int or None}; ReLU hidden, softmax output, no biases.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def softmax(z: Array) -> Array:
    z = np.exp(z - z.max(1, keepdims=True))
    return z / z.sum(1, keepdims=True)


def convolve(x: Array, w: Array) -> Array:
    """Stride 1, no padding, one position at a time."""
    k, size = w.shape[2], x.shape[2] - w.shape[2] + 1
    out = np.zeros((len(x), len(w), size, size))
    for i in range(size):
        for j in range(size):
            patch = x[:, :, i : i + k, j : j + k].reshape(len(x), -1)
            out[:, :, i, j] = patch @ w.reshape(len(w), -1).T
    return out


def max_pool(h: Array, size: int) -> Array:
    b, c, n, _ = h.shape
    return h.reshape(b, c, n // size, size, n // size, size).max((3, 5))


def linear_part(layer: dict, x: Array) -> Array:
    return convolve(x, layer["w"]) if layer["w"].ndim == 4 else x.reshape(len(x), -1) @ layer["w"].T


def outgoing(layer: dict, h: Array) -> Array:
    return max_pool(h, layer["pool"]) if layer.get("pool") else h


def product(layer: dict, post: Array, pre: Array) -> Array:
    """The update of section 3.2 (fully connected) or 3.3 (convolution: the mean over all patches)."""
    w, batch = layer["w"], len(post)
    if w.ndim == 2:
        return post.T @ pre.reshape(batch, -1) / batch
    k, size = w.shape[2], post.shape[2]
    total = np.zeros_like(w)
    for i in range(size):
        for j in range(size):
            for item in range(batch):
                total += np.einsum("o,ckl->ockl", post[item, :, i, j], pre[item, :, i : i + k, j : j + k])
    return total / size**2 / batch


class Reference:
    """PEPITA with momentum, layer by layer. `run` says how many samples are in flight.

    Args:
        layers: The layers, as described at the top of this module.
        feedback: {layer index: F_l^T}, each of shape (classes, in): the layers at which the error enters.
        lr: The learning rate.
        momentum: The momentum.
        form: "stash" uses the weights of the standard pass for the modulated pass, and "recompute" repeats the standard
            pass before it. "difference" and "textbook" do neither.
        modulate: As in `pipepita.Pepita`.
        presynaptic: As in `pipepita.Pepita`.
        sign: Whether only the sign of the error enters.
        normalize: Whether each item's hidden activity is divided by its root mean square.
    """

    def __init__(
        self,
        layers: list[dict],
        feedback: dict[int, Array],
        *,
        lr: float,
        momentum: float,
        form: str = "difference",
        modulate: str = "input",
        presynaptic: str = "modulated",
        sign: bool = False,
        normalize: bool = False,
    ) -> None:
        self.layers = [
            {**layer, "w": layer["w"].astype(np.float64), "v": np.zeros(layer["w"].shape)} for layer in layers
        ]
        self.feedback = {index: f.astype(np.float64) for index, f in feedback.items()}
        self.lr, self.momentum, self.form = lr, momentum, form
        self.modulate, self.presynaptic, self.normalize = modulate, presynaptic, normalize
        self.error = np.sign if sign else np.asarray

    def activity(self, a: Array) -> Array:
        h = np.maximum(a, 0)
        if self.normalize:
            axes = tuple(range(1, h.ndim))
            h = h / np.sqrt((h**2).mean(axes, keepdims=True) + np.finfo(np.float32).eps)
        return h

    def standard(self, x: Array) -> list[dict]:
        kept = []
        for layer in self.layers[:-1]:
            a = linear_part(layer, x)
            h = self.activity(a)
            kept.append({"x": x, "a": a, "h": h, "out": outgoing(layer, h), "w": layer["w"]})
            x = kept[-1]["out"]
        h = softmax(linear_part(self.layers[-1], x))
        return [*kept, {"x": x, "h": h, "out": h, "w": self.layers[-1]["w"]}]

    def modulated(self, kept: list[dict], y: Array) -> None:
        target = np.eye(kept[-1]["h"].shape[1])[y]
        e = kept[-1]["h"] - target
        if self.form == "recompute":
            kept = self.standard(kept[0]["x"])
        arriving, updates = None, []
        for index, (layer, k) in enumerate(zip(self.layers, kept, strict=True)):
            if self.form == "stash":
                layer = {**layer, "w": k["w"]}
            last = index == len(self.layers) - 1
            difference = self.form == "difference"
            if index in self.feedback:  # the error enters here
                d = (self.error(e) @ self.feedback[index]).reshape(k["x"].shape)
                m_in = k["x"] + d
            else:
                d = arriving if difference else None
                m_in = k["x"] + arriving if difference else arriving
            if last:
                m = softmax(linear_part(layer, m_in))
                post = m - target
            else:
                m = (
                    self.activity(k["a"] + linear_part(layer, d))
                    if difference
                    else self.activity(linear_part(layer, m_in))
                )
                post = k["h"] - m
                arriving = outgoing(layer, m) - k["out"] if difference else outgoing(layer, m)
            update = product(layer, post, k["x"] if self.presynaptic == "standard" else m_in)
            if not last and self.presynaptic in ("own", "two-step"):
                update = -product(layer, m, m_in)
                update += product(layer, k["h"], k["x"]) if self.presynaptic == "own" else 0
            updates.append(update)
        self.update(self.layers, updates)

    def update(self, layers: list[dict], updates: list[Array]) -> None:
        for layer, update in zip(layers, updates, strict=True):
            layer["v"] = self.momentum * layer["v"] + update
            layer["w"] = layer["w"] - self.lr * layer["v"]

    def run(self, batches: list[tuple[Array, Array]], window: int = 1) -> None:
        """Sample t's standard pass comes before the modulated passes of the window - 1 samples before it."""
        waiting: list[tuple[list[dict], Array]] = []
        for x, y in batches:
            waiting.append((self.standard(x.astype(np.float64)), y))
            if self.presynaptic == "two-step":
                hidden, kept = self.layers[:-1], waiting[-1][0][:-1]
                self.update(hidden, [product(one, k["h"], k["x"]) for one, k in zip(hidden, kept, strict=True)])
            if len(waiting) == window:
                self.modulated(*waiting.pop(0))
        while waiting:
            self.modulated(*waiting.pop(0))
