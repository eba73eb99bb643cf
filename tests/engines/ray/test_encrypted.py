"""Encrypted channels between actors, with Ray's own TLS switched on as well."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import ray
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import pipepita as pp
from pipepita.channels import tls
from pipepita.engines.ray.pipeline import RayPipeline

_SCRIPT = """
import json, sys
import ray
import pipepita as pp
data = pp.load("digits").first(150, seed=0)
digests = []
engine = pp.RayEngine(2, device="cpu", transport="tls")
for one in (engine, "local"):
    model = pp.build("fc:24x2", data.item_shape, data.classes)
    result = pp.train(model, data, engine=one, stages=2, epochs=1, batch_size=16, schedule="streaming", window=3)
    digests.append(result.weights_sha256)
address = ray.get_runtime_context().gcs_address
import grpc
try:  # somebody who does not encrypt gets no answer
    channel = grpc.insecure_channel(address)
    grpc.channel_ready_future(channel).result(timeout=3)
    plain = True
except grpc.FutureTimeoutError:
    plain = False
engine.close()
print(json.dumps([*digests, plain]))
"""


def certificate(folder: Path) -> dict[str, str]:
    """Makes a certificate for this host, as Ray's page says. Returns the variables that switch Ray's TLS on."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ray")])
    addresses = {"127.0.0.1", ray.util.get_node_ip_address()}
    names = [x509.DNSName("localhost"), x509.DNSName(socket.gethostname())]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in sorted(addresses)]
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "host.crt").write_bytes(made.public_bytes(pem))
    (folder / "host.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return {
        "RAY_USE_TLS": "1",
        "RAY_TLS_SERVER_CERT": str(folder / "host.crt"),
        "RAY_TLS_SERVER_KEY": str(folder / "host.key"),
        "RAY_TLS_CA_CERT": str(folder / "host.crt"),
    }


@pytest.mark.slow
def test_rays_own_tls_and_ours_together(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env={**os.environ, **certificate(tmp_path)}, cwd=tmp_path,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    in_actors, local, plain = json.loads(done.stdout)
    assert in_actors == local and plain is False


def test_encryption_is_not_lost_behind_a_transport():
    with pytest.raises(pp.UserError, match="encrypt decides between hosts, and transport 'tcp' decides for all"):
        pp.RayEngine(2, transport="tcp", encrypt=True)


@pytest.mark.parametrize("encrypt", [True, False])
def test_only_what_leaves_a_host_is_encrypted(ray_engine, few_digits, monkeypatch, encrypt):
    """As if each actor were on a host of its own."""
    each, used, made = RayPipeline._each, set[str](), []
    ask, new = RayPipeline._ask, tls.new_identity

    def elsewhere(self, method):
        answers = ask(self, method)
        if method == "where":
            return [replace(answer, host=f"host {index}") for index, answer in enumerate(answers)]
        return answers

    def noted(self, method, arguments):
        if method == "listen":
            used.update(transport for by_port, *_ in arguments for _, transport in by_port.values())
        return each(self, method, arguments)

    monkeypatch.setattr(tls, "new_identity", lambda: made.append(new()) or made[-1])
    monkeypatch.setattr(RayPipeline, "_ask", elsewhere)
    monkeypatch.setattr(RayPipeline, "_each", noted)
    monkeypatch.setattr(ray_engine, "encrypt", encrypt)
    monkeypatch.setattr(ray_engine, "transport", None)
    result = pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, engine=ray_engine, epochs=1)
    expected = pp.train(pp.build("fc:24x2", few_digits.item_shape, 10), few_digits, engine="local", epochs=1)
    assert result.weights_sha256 == expected.weights_sha256
    assert used == {"tls" if encrypt else "tcp"} and len(made) == encrypt
