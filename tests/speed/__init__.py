"""Speeds that `mailworkers bench` does not measure, each by a command of its own, with a verdict as exit code.

    python -m tests.speed.distance     over a relay 50 ms away: what pipelining and CHUNKING bring
    python -m tests.speed.flat         whether the drain rate depends on how many jobs wait
    python -m tests.speed.imports      contacts from a file, against a bare COPY of the same file
    python -m tests.speed.inserts      single inserts by 16 clients, with the trigger that wakes daemons and without any

Each compares two things in one run, several times, and shows the medians: a rate alone says more about the machine. They take minutes and
want an idle machine, so they are not among the tests.
"""
