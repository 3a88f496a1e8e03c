"""Messages as hypothesis makes them: anything a row may hold, and what has hurt other composers more often than chance."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import strategies as st

from mailworkers.mail.headers import FREE_TEXT_NAMES, TOKEN_NAMES
from mailworkers.mail.message import Address, Attachment, Message

PRINTABLE = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
ASCII = st.characters(min_codepoint=32, max_codepoint=126)
DIFFICULT = st.sampled_from(
    [
        " ",
        '"',
        "\\",
        ",",
        "(",
        ")",
        "<",
        ">",
        "@",
        ":",
        ";",
        "?",
        "=",
        "_",
        ".",
        "%",
        "'",
        "é",
        "ß",
        "—",
        "א",
        "日",
        "😀",
    ]
)
WORDS = st.sampled_from(
    ["Ann", "Bücher", "letter,", "x" * 70, "é" * 30, "日本語" * 12, "😀" * 9, "word", "a.b", "Re:", "=?utf-8?q?x?="]
)

one_line = st.one_of(
    st.text(PRINTABLE, max_size=40),
    st.text(ASCII, max_size=120),
    st.text(DIFFICULT, max_size=60),
    st.lists(WORDS, max_size=12).map(" ".join),
)
names = one_line

atoms = st.text(st.sampled_from("abcXYZ019!#$%&'*+-/=?^_`{|}~"), min_size=1, max_size=12)
local_parts = st.lists(atoms, min_size=1, max_size=4).map(".".join)
utf8_local_parts = st.sampled_from(["büro", "用户", "żółw.π"])
labels = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda label: label[2:4] != "--")
domains = st.one_of(
    st.lists(labels, max_size=3).map(lambda parts: ".".join([*parts, "example"])),
    st.sampled_from(["büro.firm1.example", "例え.example", "STRASSE.example", "straße.example"]),
)
emails = st.builds("{}@{}".format, local_parts, domains)
addresses = st.builds(Address, emails, names)

pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60),
    st.text(ASCII, max_size=200),
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "\r",
            "\n\n",
            " \n",
            "\t\n",
            ".",
            "\n.\n",
            "\n..",
            "From ",
            "\nFrom x",
            "=",
            "=\n",
            "\x0c",
            "\x85",
            "\u2028",
        ]
    ),
    st.integers(70, 80).map(lambda size: "y" * size + " \n"),
    st.integers(985, 1003).map(lambda size: "x" * size),
    st.sampled_from(["é" * 76, "日本" * 500, "z" * 5000, "--=_A", "<p>Grüße</p>\n"]),
)
bodies = st.lists(pieces, max_size=8).map("".join)

extra_headers = st.dictionaries(
    st.sampled_from([*(name.title() for name in sorted(FREE_TEXT_NAMES)), "X-Shop-Order", "X-Note"]),
    one_line,
    max_size=3,
)
token_headers = st.dictionaries(
    st.sampled_from([*(name.title() for name in sorted(TOKEN_NAMES)), "List-Unsubscribe", "List-Id"]),
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=90), max_size=6).map(
        " ".join
    ),
    max_size=3,
)

content_types = st.sampled_from(["application/pdf", "image/png", "text/csv", "text/plain", "application/vnd.x+json"])
filenames = st.one_of(
    one_line,
    st.sampled_from(
        ["", "a.pdf", 'say "hi".txt', "back\\slash", "../../etc/passwd", "Übersicht.pdf", "日" * 200, "x" * 200]
    ),
)
content_ids = st.sampled_from(["", "", "logo", "logo@firm1.example", "p%20q"])
attachments = st.builds(Attachment, filenames, content_types, st.binary(max_size=300), content_ids)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """A message that composes."""
    texts = draw(st.sampled_from(["text", "html", "both"]))
    return Message(
        message_id=f"{draw(st.uuids()).hex}@firm1.example",
        date=draw(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))),
        sender=draw(addresses),
        to=draw(addresses),
        subject=draw(one_line),
        text_body=draw(bodies) if texts != "html" else None,
        html_body=draw(bodies) if texts != "text" else None,
        reply_to=draw(st.none() | addresses),
        cc=tuple(draw(st.lists(addresses, max_size=3))),
        bcc=tuple(draw(st.lists(addresses, max_size=2))),
        headers=draw(st.none() | st.builds(lambda a, b: {**a, **b}, extra_headers, token_headers)),
        attachments=tuple(draw(st.lists(attachments, max_size=3))),
    )
