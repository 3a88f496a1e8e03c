"""Certificates made for one test run by the openssl command: an authority, and what it signed."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
OPENSSL_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """`authority` is the file to trust; the contexts are for a server's side.

    `good` is for localhost and 127.0.0.1, `wrong_name` for another host, `expired` ended a day ago.
    """

    authority: Path
    good: ssl.SSLContext
    wrong_name: ssl.SSLContext
    expired: ssl.SSLContext


def make_certificates(folder: Path) -> Certificates:
    """Make all of them below `folder`; takes about 0.1 s."""
    authority = folder / "authority.pem"
    _openssl(
        folder, "req", "-x509", *NEW_KEY, "-days", "2", "-keyout", "authority.key", "-out", authority.name,
        "-subj", "/CN=An authority for tests",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign",  # Python 3.13 asks for it
    )  # fmt: skip
    return Certificates(
        authority,
        good=_server(folder, "good", "DNS:localhost,IP:127.0.0.1", days=2),
        wrong_name=_server(folder, "wrong_name", "DNS:elsewhere.example", days=2),
        expired=_server(folder, "expired", "DNS:localhost,IP:127.0.0.1", days=-1),
    )


def _server(folder: Path, name: str, names: str, days: int) -> ssl.SSLContext:
    (folder / f"{name}.ext").write_text(
        f"subjectAltName={names}\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\nsubjectKeyIdentifier=hash\n"
    )
    _openssl(
        folder, "req", "-new", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}"
    )  # fmt: skip
    _openssl(
        folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey", "authority.key",
        "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem",
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=OPENSSL_SECONDS)
