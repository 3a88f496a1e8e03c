"""A real PostgreSQL that the program starts by itself where no database is given.

    home.py           where everything lies, and the default
    binaries.py       which PostgreSQL: one that a wheel brought, or the system's
    account.py        PostgreSQL refuses to run as root, so root runs it as somebody else
    configuration.py  the server's settings, each with its reason
    cluster.py        making the data directory
    boot.py           bringing a server up
    keeper.py         the process that keeps the server: up while it has users, down with the last of them
    locks.py          bounded flock
    failures.py       what goes wrong, in one line each
    server.py         EmbeddedServer: start() gives a DSN, stop() leaves

Any number of processes may share one home. Each user of the server holds a shared flock, and the keeper waits for the
exclusive one. The kernel drops a dead process's lock, so the last user's end is the server's end, even by kill -9.
"""

from mailworkers.db.embedded.home import default_home
from mailworkers.db.embedded.server import EmbeddedServer, embedded_server, is_up

__all__ = ["EmbeddedServer", "default_home", "embedded_server", "is_up"]
