"""How far a service can be reached: by this machine alone, or beyond it, and what that asks for."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from lichen.deploy.tls import tls_context
from lichen.errors import WrongUsage

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - the addresses that name no host


def certificate_and_key(certificate: str | Path | None, key: str | Path | None) -> tuple[Path, Path] | None:
    """The two files of TLS, or None; one without the other is refused."""
    if certificate is not None and key is not None:
        return Path(certificate), Path(key)
    if certificate is None and key is None:
        return None
    raise WrongUsage(
        "LCH-1906",
        f"--tls-{'key' if key is None else 'cert'} is missing",
        why="TLS needs a certificate and its private key",
        fix="say both: --tls-cert cert.pem --tls-key key.pem",
    )


@dataclass(frozen=True)
class Reach:
    """Where a service listens and who can reach it.

    `tls` names the files of the certificate and its key; `behind_proxy` says that a proxy in front speaks TLS instead.
    `allow_hosts` are the names that clients may ask it by, besides this machine's own and `host`.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    tls: tuple[Path, Path] | None = None
    behind_proxy: bool = False
    allow_hosts: tuple[str, ...] = ()
    require_token: bool = False

    @property
    def on_loopback(self) -> bool:
        """Whether it listens to this machine only."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    @property
    def needs_token(self) -> bool:
        """Whether every request must bring a token: asked for, or reached from beyond this machine in any way."""
        return self.require_token or not self.on_loopback or self.behind_proxy or bool(self.allow_hosts)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names, besides loopback's, that clients may ask it by; an IPv6 address stands in brackets."""
        own = () if self.on_loopback or self.host in _ANY else (self.host,)
        return (*(f"[{host}]" if ":" in host else host for host in own), *self.allow_hosts)

    def as_dict(self) -> dict[str, Any]:
        """The reach for a worker, as JSON; it holds no secret, for the key is named by its file."""
        return {**asdict(self), "tls": self.tls and [str(path.resolve()) for path in self.tls]}

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> Self:
        """The reach that a worker was told."""
        tls = kept["tls"] and (Path(kept["tls"][0]), Path(kept["tls"][1]))
        return cls(**{**kept, "tls": tls, "allow_hosts": tuple(kept["allow_hosts"])})

    def check(self) -> ssl.SSLContext | None:
        """Refuse a reach that is not safe; gives what TLS is spoken with, if it is."""
        if not self.on_loopback and self.tls is None and not self.behind_proxy:
            raise WrongUsage(
                "LCH-1840",
                f"`{self.host}` is not a loopback address, and nothing keeps what is sent there from being read",
                fix="say --tls-cert and --tls-key; or, where a proxy in front of it speaks TLS, --behind-proxy",
            )
        for name in self.allow_hosts:
            if not _NAME.fullmatch(name):
                raise WrongUsage(
                    "LCH-1905",
                    f"--allow-host: `{name}` is no host's name",
                    fix="write it as clients do, without a scheme or a port: models.example.com",
                )
        return None if self.tls is None else tls_context(*self.tls)

    def refuse_without_token(self) -> WrongUsage:
        """The refusal to serve where no token could be asked for."""
        if self.on_loopback and self.require_token:
            why = "--require-token says that each request must bring one"
        elif self.on_loopback:
            why = "it is reached through a proxy, or by other names than this machine's"
        else:
            why = f"`{self.host}` is reached from other machines"
        return WrongUsage(
            "LCH-1901",
            "there is no valid token for predictions, so nobody could ask",
            why=why,
            fix="make one: lichen token new NAME --scope predict",
        )
