"""A server of the tests on loopback, from its first connection to its last: opened on a free port, closed with all that it does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

HOST = "127.0.0.1"


@dataclass(slots=True)
class Listening:
    """What listens, and the tasks that serve what came."""

    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def opened(self, server: asyncio.Server) -> int:
        """This listens from now on; its port."""
        self._server = server
        port: int = server.sockets[0].getsockname()[1]
        return port

    def serve(self, task: asyncio.Task[None]) -> None:
        """`task` serves a connection, and ends with the server."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, end_connections: Callable[[], None]) -> None:
        """Take nothing more, end every task, and then what is still connected.

        Args:
            end_connections: must leave none, or the server would wait for it.
        """
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        end_connections()
        await self._server.wait_closed()
