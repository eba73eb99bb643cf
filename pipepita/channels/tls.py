"""The encrypted channel between two hosts: TLS 1.3 around the TCP channel, by Python's own ssl.

A run has one certificate with its key, which travels with the run's secret. Both ends show it, and accept no other, so
nobody without the key can read, change or forge anything. What goes through is that of `tcp`.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from pipepita.channels.tcp import TcpOutlet
from pipepita.errors import UserError

_SMALL = 1 << 14  # a record of TLS holds so many bytes
# A small device may have no clock of its own, and a certificate ends with its run anyway.
_BEGIN, _END = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC), datetime.datetime(9999, 12, 31, tzinfo=datetime.UTC)


class Identity(NamedTuple):
    """What the ends of one run's channels show each other, as PEM. It is never printed.

    Attributes:
        certificate: Signed by itself.
        key: Its private key.
    """

    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "Identity(...)"


def new_identity() -> Identity:
    """A certificate for one run. `UserError` if the package that makes it is missing."""
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as error:
        raise UserError(f"encrypt needs the package cryptography ({error}): pip install cryptography") from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pipepita run")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_END)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Identity(certificate.public_bytes(pem), private)


def secure(peer: socket.socket, identity: Identity, *, listens: bool) -> ssl.SSLSocket:
    """`peer` with TLS around it; it is no more to be used itself. Both shake hands when they first read or write."""
    return _context(identity, listens).wrap_socket(peer, server_side=listens, do_handshake_on_connect=False)


@functools.lru_cache(maxsize=4)
def _context(identity: Identity, listens: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if listens else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # the certificate is that of the run, wherever its ends are
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=identity.certificate.decode())
    with _path(identity.certificate + identity.key) as path:
        context.load_cert_chain(path)
    if listens:
        context.num_tickets = 0  # so that the sender, which never reads, has nothing to read until the other hangs up
    return context


@contextlib.contextmanager
def _path(content: bytes) -> Iterator[str]:
    """A path to read `content` from, since ssl takes keys from files only. Where possible it is on no disk."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("pipepita identity")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile() as file:  # only this user can read it
        file.write(content)
        file.flush()
        yield file.name


def reason(error: OSError) -> str:
    """What went wrong, in words."""
    if isinstance(error, ssl.SSLError):
        return f"no TLS with this run's certificate ({error.reason or error})"
    return error.strerror or str(error)


class TlsOutlet(TcpOutlet):
    """The sending end of an encrypted channel."""

    def _write(self, head: bytes, body: memoryview) -> None:
        if len(head) + len(body) <= _SMALL:
            self.peer.sendall(head + bytes(body))  # one record
            return
        self.peer.sendall(head)
        self.peer.sendall(body)
