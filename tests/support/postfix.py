"""A private Postfix: its own configuration, queue and mailbox, STARTTLS and AUTH on a loopback port. Takes root."""

from __future__ import annotations

import os
import pwd
import shutil
import smtplib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.certificates import make_certificates
from tests.support.waiting import wait_until

COMMANDS = ("postfix", "postconf", "saslpasswd2", "openssl")
COMMAND_SECONDS = 60.0
REALM = "relay.example"
USER, PASSWORD = f"letters@{REALM}", "for one test only"
BOX = "box"

# No part of Debian's own configuration: this one takes mail from whoever has authenticated over TLS, for any recipient,
# and puts all of it into one maildir.
_MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file_prefixes = {folder}
maillog_file = {folder}/log
myhostname = {realm}
mydestination =
mynetworks =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_cert_file = {folder}/good.pem
smtpd_tls_key_file = {folder}/good.key
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
smtpd_sasl_local_domain = {realm}
cyrus_sasl_config_path = {folder}/etc/sasl
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_client_connection_rate_limit = 0
smtpd_client_connection_count_limit = 0
in_flow_delay = 0
local_transport = virtual
default_transport = virtual
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = static:{box}/
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_destination_concurrency_limit = 20
default_destination_concurrency_limit = 20
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60  1  pickup
cleanup   unix  n - n -   0  cleanup
qmgr      unix  n - n 300 1  qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -   -  trivial-rewrite
bounce    unix  - - n -   0  bounce
defer     unix  - - n -   0  bounce
trace     unix  - - n -   0  bounce
verify    unix  - - n -   1  verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -   -  proxymap
proxywrite unix - - n -   1  proxymap
showq     unix  n - n -   -  showq
error     unix  - - n -   -  error
retry     unix  - - n -   -  error
discard   unix  - - n -   -  discard
virtual   unix  - n n -   -  virtual
anvil     unix  - - n -   1  anvil
scache    unix  - - n -   1  scache
postlog   unix-dgram n - n - 1 postlogd
"""

_SASL = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {folder}/sasldb2
mech_list: PLAIN LOGIN
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """Where it listens, whom it trusts, and what it delivered. `authority` is the certificate to trust."""

    port: int
    authority: Path
    user: str
    password: str
    _folder: Path

    @property
    def delivered(self) -> int:
        """Messages in the mailbox."""
        box = self._folder / "mail" / BOX / "new"
        return len(os.listdir(box)) if box.is_dir() else 0  # noqa: PTH208 -- thousands of names, many times a second

    def messages(self) -> Iterator[bytes]:
        """Each delivered message as it lies in the mailbox, with the header fields that Postfix put before it."""
        for path in (self._folder / "mail" / BOX / "new").iterdir():
            yield path.read_bytes()

    def log(self) -> str:
        """What it logged."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""


def missing() -> str:
    """Why it cannot run here; empty where it can."""
    lacking = [command for command in COMMANDS if shutil.which(command, path=_path()) is None]
    if lacking:
        return f"Postfix needs {', '.join(lacking)}: install postfix, sasl2-bin, libsasl2-modules and openssl"
    return "" if os.geteuid() == 0 else "Postfix's master process takes root"


@contextmanager
def running() -> Iterator[Postfix]:
    """A Postfix as long as the block runs; nothing of it is left afterwards."""
    # Not below pytest's private folder: most of Postfix runs as an account that could not enter it.
    folder = Path(tempfile.mkdtemp(prefix="mailworkers-postfix-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        made = _configure(folder)
        _run("postfix", "-c", f"{folder}/etc", "start")
        try:
            wait_until(lambda: _greets(made.port), "Postfix greets")
            yield made
        finally:
            _run("postfix", "-c", f"{folder}/etc", "stop")
    finally:
        shutil.rmtree(folder)


def _configure(folder: Path) -> Postfix:
    owner, nobody = pwd.getpwnam("postfix"), pwd.getpwnam("nobody")
    for name in ("etc", "etc/sasl", "queue", "data", "mail"):
        (folder / name).mkdir(mode=0o755)
    make_certificates(folder)
    os.chown(folder / "data", owner.pw_uid, owner.pw_gid)
    os.chown(folder / "mail", nobody.pw_uid, nobody.pw_gid)
    port = _free_port()
    values = {"folder": folder, "port": port, "realm": REALM, "box": BOX, "uid": nobody.pw_uid, "gid": nobody.pw_gid}
    (folder / "etc" / "main.cf").write_text(_MAIN.format(**values))
    (folder / "etc" / "master.cf").write_text(_MASTER.format(**values))
    (folder / "etc" / "sasl" / "smtpd.conf").write_text(_SASL.format(**values))
    local, _, realm = USER.partition("@")
    _run("saslpasswd2", "-p", "-c", "-f", f"{folder}/sasldb2", "-u", realm, local, input_=PASSWORD)
    os.chown(folder / "sasldb2", owner.pw_uid, owner.pw_gid)
    return Postfix(port, folder / "authority.pem", USER, PASSWORD, folder)


def _greets(port: int) -> bool:
    try:
        with smtplib.SMTP("127.0.0.1", port, timeout=COMMAND_SECONDS) as relay:
            return relay.noop()[0] == 250
    except (OSError, smtplib.SMTPException):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _path() -> str:
    return os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


def _run(*command: str, input_: str | None = None) -> None:
    """Run a command and show what it said where it fails."""
    done = subprocess.run(
        command,
        input=input_,
        text=True,
        capture_output=True,
        timeout=COMMAND_SECONDS,
        check=False,
        env={"PATH": _path(), "LC_ALL": "C"},
    )
    assert done.returncode == 0, f"{' '.join(command[:4])} failed: {done.stdout}{done.stderr}"
