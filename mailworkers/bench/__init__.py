"""How fast are this database and this relay? The real path and its references, measured in processes of their own.

plan            what is to be measured, and whom it may be sent to
run             the whole bench, round by round
passage         one run through the queue, and its account
latency         single inserts into an idle daemon's queue
figures         what was measured, and what follows from it
machine         what it was measured on
schema          a schema of the bench's own
inserting       inserting as an application does
mails           the mails
relay, sink     where they go
daemon          a daemon to be measured; stages, null_transport and telling are its instruments
senders         the references without a queue; smtp_source is one in C
child           a process of the bench, as its parent sees it; answering is the other end
"""
