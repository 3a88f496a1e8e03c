"""A migration that comes while the daemon is at work: most let it go on, some end it."""

from __future__ import annotations

from collections.abc import Callable

from mailworkers.daemon.vitals import Vitals
from mailworkers.db.pool import Gateway
from mailworkers.errors import SchemaMismatch

INTERVAL_SECONDS = 5.0  # an upgrade has to wait for older daemons at least so long
HINT = "Install the newer mailworkers on this host, and start it again"


class SchemaWatch:
    """Compares the schema with the version that the daemon started under.

    Args:
        gateway: where to ask.
        vitals: where a newer schema shows, and where the version stands that this daemon knows.
        on_superseded: called where this daemon must not go on, with what to tell.
    """

    def __init__(self, gateway: Gateway, vitals: Vitals, on_superseded: Callable[[SchemaMismatch], None]) -> None:
        self._gateway = gateway
        self._vitals = vitals
        self._on_superseded = on_superseded

    async def look(self) -> None:
        """Look once. Raises DatabaseError."""
        row = await self._gateway.fetchrow("inspect/newer_migrations", self._vitals.schema_version)
        if row is None or row["newest"] is None:
            self._vitals.warnings.pop("schema", None)
            return
        became = (
            f"the schema became version {row['newest']} while this daemon of version {self._vitals.schema_version} ran"
        )
        if row["ends_older"]:
            self._on_superseded(
                SchemaMismatch(f"{became}, which no older one may work with: it has drained and ended", HINT)
            )
        else:
            self._vitals.warnings["schema"] = f"{became}; it goes on, but could not start again. {HINT}"
