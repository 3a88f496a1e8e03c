"""A file as a MIME part: always base64, byte for byte what the row gave."""

from __future__ import annotations

import re
from urllib.parse import quote

from mailworkers.errors import ComposeError
from mailworkers.mail.composer.cache import PartCache
from mailworkers.mail.composer.text import base64_lines
from mailworkers.mail.composer.words import FOLD, LINE
from mailworkers.mail.headers import check_one_line
from mailworkers.mail.message import Attachment

OCTET_STREAM = "application/octet-stream"
MAX_CONTENT_TYPE_CHARS = 255  # RFC 6838 §4.2 allows 127 for type and subtype each
MAX_CONTENT_ID_CHARS = 250
SECTION_CHARS = 54  # of a file name in one RFC 2231 section, so that its line keeps to 78
CACHE_BYTES = 16 * 1024 * 1024  # a campaign's pictures and a brochure of 1.7 MB, plain and encoded

_WORD = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # RFC 2045 §5.1
_PARAMETER = rf'{_WORD}=(?:{_WORD}|"[^"\\]*")'
_CONTENT_TYPE = re.compile(rf"({_WORD}/{_WORD})((?: *; *{_PARAMETER})*)")
_PARAMETERS = re.compile(_PARAMETER)
_PLAIN_FILENAME = re.compile(r"[A-Za-z0-9!#$&+,.;=@^_`{}~()\[\]-]+(?: [A-Za-z0-9!#$&+,.;=@^_`{}~()\[\]-]+)*")
_CONTENT_ID = re.compile(r"[!-;=?-~]+")  # printable ASCII without blanks and angle brackets

_encoded = PartCache(CACHE_BYTES)


def attachment_part(attachment: Attachment, disposition: str, field: str) -> bytes:
    """One attached or inline file with its header fields; it ends with CRLF.

    A content type that is none becomes application/octet-stream. So do message/… and multipart/…, which RFC 2046
    (§5.1, §5.2.1) forbids to encode: a saved mail arrives whole and opens by its file name, `.eml`.

    Args:
        attachment: the file.
        disposition: `attachment` or `inline` (RFC 2183).
        field: the row's name for it, such as `attachments[0]`, for the message.

    Raises:
        ComposeError: for control characters in a name or type, and a content_id that could stand in no header.
    """
    check_one_line(attachment.filename, f"{field}.filename")
    check_one_line(attachment.content_type, f"{field}.content_type")
    fields = [_content_type_field(attachment.content_type), "Content-Transfer-Encoding: base64"]
    if attachment.content_id:
        if len(attachment.content_id) > MAX_CONTENT_ID_CHARS or not _CONTENT_ID.fullmatch(attachment.content_id):
            raise ComposeError(
                f"{field}.content_id must be ASCII without blanks, < and >, such as logo or logo@example.org"
            )
        fields.append(f"Content-ID: <{attachment.content_id}>")
    fields.append(_disposition_field(disposition, attachment.filename))
    head = "\r\n".join(fields).encode("ascii")
    return head + b"\r\n\r\n" + _base64(attachment.content)


def _base64(content: bytes) -> bytes:
    encoded = _encoded.get(content)
    if encoded is None:
        encoded = base64_lines(content)
        _encoded.put(content, encoded, len(content) + len(encoded))
    return encoded


def _content_type_field(content_type: str) -> str:
    match = _CONTENT_TYPE.fullmatch(content_type) if len(content_type) <= MAX_CONTENT_TYPE_CHARS else None
    if not match or match[1].lower().startswith(("message/", "multipart/")):
        return f"Content-Type: {OCTET_STREAM}"
    return f";{FOLD}".join([f"Content-Type: {match[1]}", *_PARAMETERS.findall(match[2])])


def _disposition_field(disposition: str, filename: str) -> str:
    if not filename:
        return f"Content-Disposition: {disposition}"
    if _PLAIN_FILENAME.fullmatch(filename):
        line = f'Content-Disposition: {disposition}; filename="{filename}"'
        if len(line) <= LINE:
            return line
    return f";{FOLD}".join([f"Content-Disposition: {disposition}", *_sections(filename)])


def _sections(filename: str) -> list[str]:
    """A file name by RFC 2231 §3 and §4, in UTF-8. A section never ends within a character: some readers decode each alone."""
    sections = [""]
    for character in filename:
        escaped = quote(character, safe="")
        if len(sections[-1]) + len(escaped) > SECTION_CHARS:
            sections.append("")
        sections[-1] += escaped
    if len(sections) == 1:
        return [f"filename*=utf-8''{sections[0]}"]
    rest = [f"filename*{index}*={section}" for index, section in enumerate(sections[1:], 1)]
    return [f"filename*0*=utf-8''{sections[0]}", *rest]
