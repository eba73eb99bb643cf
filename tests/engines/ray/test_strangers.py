"""Strangers connect to every port of a real run while its channels are set up. They are refused and logged."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
from pathlib import Path

import pytest

import pipepita as pp
from pipepita.channels import handshake, header
from pipepita.channels.channel import Wire
from pipepita.channels.transports import TRANSPORTS, Address
from pipepita.engines.ray.pipeline import RayPipeline
from pipepita.schedule import STANDARD

WIRE = Wire("samples", -1, 0, 8, 16, (1, 8, 8), (STANDARD,))
OPTIONS = {"epochs": 2, "batch_size": 16, "schedule": "streaming", "window": 3}


def wrong_secret(peer: socket.socket) -> None:
    with contextlib.suppress(handshake.Refused):
        handshake.connect_side(peer, handshake.Secret(b"x" * 32), "samples")


def truncated_frame(peer: socket.socket) -> None:
    peer.sendall(header.pack(WIRE, STANDARD, 0, (16, 1, 8, 8))[:40])
    peer.shutdown(socket.SHUT_WR)


def huge_length(peer: socket.socket) -> None:
    peer.sendall(header.pack(WIRE, STANDARD, 0, (1 << 60, 1 << 60)))


def wrong_shape(peer: socket.socket) -> None:
    peer.sendall(header.pack(WIRE, STANDARD, 0, (16, 3, 7)))


STRANGERS = (wrong_secret, truncated_frame, huge_length, wrong_shape)


@pytest.mark.parametrize("transport", sorted(TRANSPORTS))
def test_strangers_are_refused_with_a_log_line_and_training_goes_on(
    ray_engine, few_digits, monkeypatch, caplog, transport
):
    expected = pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, engine="local", **OPTIONS)
    monkeypatch.setattr(ray_engine, "transport", transport)
    each, attacked = RayPipeline._each, list[Address]()

    def and_strangers(self, method, arguments):
        answers = each(self, method, arguments)
        if method == "listen":
            for address in (address for addresses in answers for address in addresses.values()):
                for stranger in STRANGERS:
                    peer = TRANSPORTS[address.transport].connect_socket(address.name, 5)
                    with contextlib.suppress(OSError):
                        stranger(peer)
                    attacked.append(address)
                    held.append(peer)  # some keep the connection for as long as they can
        return answers

    held: list[socket.socket] = []
    monkeypatch.setattr(RayPipeline, "_each", and_strangers)
    with caplog.at_level(logging.WARNING):
        result = pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, engine=ray_engine, **OPTIONS)
    for peer in held:
        peer.close()
    assert (result.weights_sha256, result.restarts) == (expected.weights_sha256, 0)
    refused = [line for line in caplog.messages if "turned a peer away" in line]
    assert len(attacked) >= 4 * len(STRANGERS)
    assert len(refused) == len(attacked)
    assert {re.match(r"channel (\w+)", line)[1] for line in refused} == {"samples", "forward", "signal"}
    if transport != "shared_memory":
        assert all(not address.name.startswith(("0.0.0.0", "[::]")) for address in attacked)


def test_nobody_listens_once_training_goes_on(ray_engine, few_digits, monkeypatch):
    """A port is open only until its one peer has connected."""
    monkeypatch.setattr(ray_engine, "transport", "tcp")
    addresses, refused = list[Address](), []
    each, train = RayPipeline._each, RayPipeline.train

    def noted(self, method, arguments):
        answers = each(self, method, arguments)
        addresses.extend(address for one in answers for address in one.values()) if method == "listen" else None
        return answers

    def trying(self, first, lr):
        train(self, first, lr)
        for address in addresses:
            with pytest.raises(OSError):
                TRANSPORTS["tcp"].connect_socket(address.name, 1)
            refused.append(address)

    monkeypatch.setattr(RayPipeline, "_each", noted)
    monkeypatch.setattr(RayPipeline, "train", trying)
    pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, engine=ray_engine, epochs=1)
    assert refused


def test_the_secret_is_in_no_log_and_on_no_command_line(ray_engine, few_digits, monkeypatch, caplog, tmp_path):
    secrets, new_secret = [], handshake.new_secret

    def kept():
        secrets.append(new_secret())
        return secrets[-1]

    monkeypatch.setattr(handshake, "new_secret", kept)
    with caplog.at_level(logging.DEBUG):
        pp.train(
            pp.build("fc:24", few_digits.item_shape, 10), few_digits, engine=ray_engine, epochs=1,
            run_dir=tmp_path / "run",
        )  # fmt: skip
    (secret,) = secrets
    needles = (bytes(secret), secret.hex().encode(), bytes.__repr__(secret)[2:-1].encode())
    logs = [path for path in Path(ray_engine._cluster._folder).rglob("*") if path.is_file()]
    texts = [path.read_bytes() for path in (*logs, *(tmp_path / "run").rglob("*.json*"))]
    for path in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ"):
            with contextlib.suppress(OSError):
                texts.append((path / name).read_bytes())
    texts += [caplog.text.encode(), repr(secret).encode(), str(secret).encode()]
    assert len(logs) > 5
    assert not [needle for needle in needles for text in texts if needle in text]


def test_what_the_run_keeps_for_itself_is_for_its_user_only(ray_engine):
    """Everybody can read Ray's own folder, but not the folder around it."""
    assert Path(ray_engine._cluster._folder).stat().st_mode & 0o077 == 0
