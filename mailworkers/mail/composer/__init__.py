"""A message in, the final bytes out. Pure: no I/O, no clock, no randomness, and the same bytes at every attempt.

    compose       the mail as a whole: envelope, head, body; or many mails by halves
    envelope      who it is from and for, by RFC 5321
    head          the header fields, by RFC 5322
    words         RFC 2047's encoded-words, phrases and folding
    body          the tree of MIME parts and its boundaries
    text          a text part, as 7bit, quoted-printable or base64
    attachment    a file as a MIME part
    cache         encoded parts that come again, within a bound of bytes

Plain, short ASCII is formatted directly, which is what makes composing a hundred times faster than
`email.message.EmailMessage`. What is hard is borrowed: quoted-printable and base64 from `binascii`, percent-encoding from
`urllib.parse`, internationalized domains from `idna`. Encoded-words are written here, and held to `email.charset` by a test.
"""

from mailworkers.mail.composer.compose import Headed, compose, finished, headed

__all__ = ["Headed", "compose", "finished", "headed"]
