"""TLS of a service: a certificate and its key, tried out before anything listens."""

from __future__ import annotations

import ssl
from pathlib import Path

from lichen.errors import FoundWrong, SystemFailed, Where

_STILL_OR_NOT_YET = {9: "it is not valid yet", 10: "it has expired"}


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server speaks TLS with; refused where the key does not fit or the certificate is not valid now.

    It is TLS 1.2 or newer. `certificate` is a PEM file with the server's certificate first and those that lead up to
    its authority after it, `key` one with the private key, without a passphrase. A handshake is carried out in memory:
    what passes here is what clients will meet, but for the certificate's name and its authority, which only they know.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as failed:
            raise SystemFailed(
                "LCH-1902",
                "a file for TLS cannot be read",
                where=Where(path),
                why=failed.strerror,
                fix="name a PEM file that this user may read",
            ) from failed
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except (ssl.SSLError, ValueError) as failed:
        raise FoundWrong(
            "LCH-1903",
            "the certificate and its key do not go together",
            where=Where(certificate),
            why=_why(failed, key),
            fix="give PEM files: --tls-cert with the server's certificate first, --tls-key with its private key, "
            "without a passphrase",
        ) from failed
    _shake_hands(context, certificate)
    return context


def _no_passphrase() -> str:
    raise ValueError("the key has a passphrase")


def _why(failed: Exception, key: Path) -> str:
    reason = getattr(failed, "reason", None) or str(failed)
    known = {
        "KEY_VALUES_MISMATCH": f"the key in {key.name} is another certificate's",
        "NO_START_LINE": "one of the two is not PEM, or not what it is named for",
    }
    return known.get(reason, reason.replace("_", " ").lower())


def _shake_hands(server: ssl.SSLContext, certificate: Path) -> None:
    """A handshake with a client that knows this one certificate; raises where the certificate is refused."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(certificate)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True)]
    waiting = list(ends)
    try:
        while waiting:
            for end in list(waiting):
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.remove(end)
    except ssl.SSLCertVerificationError as refused:
        raise FoundWrong(
            "LCH-1904",
            "the certificate is of no use",
            where=Where(certificate),
            why=_STILL_OR_NOT_YET.get(refused.verify_code, refused.verify_message),
            fix="get a new one from whoever issued it, and look at this machine's clock",
        ) from refused
