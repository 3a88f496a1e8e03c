"""`mailworkers capture` and `mailworkers demo --files`: what a reader tries the other commands with."""

from __future__ import annotations

import json
import re
import signal
import smtplib
import socket
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path

from mailworkers.mail.templates import TemplateSource, compile_template
from tests.cli.conftest import Command
from tests.support.program import END_SECONDS, started

MAILS = 3


def test_what_is_sent_to_it_becomes_files_and_it_ends_after_so_many(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    with started("capture", "--port", "0", "--out", str(folder), "--mails", str(MAILS), "--json") as process:
        _send(_port(process), MAILS)
        out, _ = process.communicate(timeout=END_SECONDS)

    assert process.returncode == 0
    counted = json.loads(out)
    assert (counted["mails"], counted["recipients"]) == (MAILS, MAILS)
    files = sorted(folder.iterdir())
    assert [path.name for path in files] == ["000001.eml", "000002.eml", "000003.eml"]
    assert message_from_bytes(files[1].read_bytes())["To"] == "reader1@example.org"


def test_ctrl_c_ends_it_with_its_counts() -> None:
    with started("capture", "--port", "0") as process:
        _send(_port(process), 1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=END_SECONDS)

    assert (process.returncode, out) == (0, "Captured 1 mails to 1 recipients.\n")


def test_a_taken_port_names_the_option_that_chooses_another(command: Command) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = command("capture", "--port", str(port))

    assert (ended.code, ended.err.count("\n")) == (69, 1)
    assert f"127.0.0.1:{port}" in ended.err
    assert "Give another --port" in ended.err


def test_what_is_wrong_is_said_in_one_line(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (("capture", "--out"), ("demo", "--files")):
        ended = command(*arguments, str(tmp_path / "file" / "folder"))
        assert (ended.code, ended.err.count("\n"), ended.out) == (65, 1, "")
        assert "cannot" in ended.err


def test_the_demos_files_are_a_list_and_a_letter_that_goes_with_its_data(command: Command, tmp_path: Path) -> None:
    ended = command("demo", "--files", str(tmp_path / "tour"))

    assert ended.code == 0
    written = [Path(line.removeprefix("Wrote ").removesuffix(".")) for line in ended.out.splitlines()]
    leads, letter, data = written
    assert leads.read_text(encoding="utf-8-sig").startswith("Email,Name,City,Plan,Signed up\n")
    source = TemplateSource("letter", 1, "Hello", html_body=letter.read_text(encoding="utf-8"))
    rendered = compile_template(source).render(
        {**json.loads(data.read_text(encoding="utf-8")), "email": "ann@a.example", "plan": "free"}
    )
    assert "https://notes.example/leave" in (rendered.html_body or "")


def _port(process: object) -> int:
    said = process.stderr.readline()  # type: ignore[attr-defined]
    found = re.search(r"127\.0\.0\.1:(\d+)", said)
    assert found, said
    return int(found[1])


def _send(port: int, mails: int) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=END_SECONDS) as client:
        for number in range(mails):
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = "s@example.org", f"reader{number}@example.org", "Hello"
            message.set_content("Hi")
            client.send_message(message)
