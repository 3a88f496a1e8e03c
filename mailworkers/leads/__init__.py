"""Whom a workspace may write to: lists of contacts read from files, checked, and merged into `leads`.

source.py     bytes, from a file or a pipe, without ever holding more than a block
encoding.py   which characters they are
lines.py      whole lines of them, and a digest of all that was used
rows.py       lines become rows: CSV and JSON Lines
delimiter.py  what stands between a CSV file's fields
columns.py    which column is the address, which the name, and what the others are called
address.py    one mailbox, one spelling
chunk.py      some thousand rows, checked and folded
strangers.py  which addresses are certainly new, so that the database is asked about few
merge.py      a chunk becomes leads, in one transaction
ledger.py     what an import has counted, so that it goes on where it stopped
importing.py  all of it together: `import_leads`
records.py    leads, lists and imports, to look at
"""
