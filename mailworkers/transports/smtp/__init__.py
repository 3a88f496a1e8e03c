"""Mail over SMTP.

    connect.py      aiosmtplib connects and negotiates: TLS, EHLO, AUTH; then hands its transport over
    session.py      one kept connection: which mail is on its way, what the relay answered, when to give up
    transaction.py  one mail's part of the conversation
    outlet.py       what leaves, within the transport's flow control, and what may have left
    parser.py       bytes in, replies out
    cadence.py      whether a reply is for the command that awaits it
    wire.py         what the relay offers, and a mail as the bytes that fit it
    timeouts.py     how long each stage may take

The conversation has three modes, chosen by what EHLO offered:

    plain        MAIL → · RCPT → · DATA → · body →                          four round trips a mail
    pipelining   MAIL RCPT DATA → · body MAIL RCPT DATA → · body …          one round trip a mail (RFC 2920)
    chunking     MAIL RCPT BDAT body MAIL RCPT BDAT body … →                several mails a round trip (RFC 3030)
"""
