"""A clock that tests set: PostgreSQL's for every statement of the project, and the processes' monotonic one.

Statements say `now()`. In a database whose search path puts a schema before `pg_catalog`, a function of that name is found
there first, so that every statement runs as it is, defaults of columns and functions of the schema included, and sees the
moment that stands in a table. It stands still between two steps, so that the model knows each moment to the microsecond
and no result hangs on how busy the machine is. Moving the rows' timestamps back instead would have to know every column
that holds one, and would move rows between partitions, which real time does not do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

BEGINS = datetime(2026, 11, 15, 12, 0, tzinfo=UTC)

_SET_UP = """
CREATE TABLE mailworkers.test_clock (moment timestamptz NOT NULL);
GRANT SELECT ON mailworkers.test_clock TO PUBLIC;
CREATE FUNCTION mailworkers.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
    AS 'SELECT moment FROM mailworkers.test_clock';
DO $$
DECLARE
    one record;
BEGIN
    FOR one IN
        SELECT attrelid::regclass AS owner, attname FROM pg_attrdef JOIN pg_attribute ON attrelid = adrelid AND attnum = adnum
        WHERE pg_get_expr(adbin, adrelid) = 'now()'
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT mailworkers.now()', one.owner, one.attname);
    END LOOP;
    EXECUTE format('ALTER DATABASE %I SET search_path = mailworkers, pg_catalog', current_database());
END
$$;
"""


class Clock:
    """`now` is the database's time, `monotonic` what the processes' own clocks show, in seconds."""

    def __init__(self, connection: Any) -> None:
        self.now = BEGINS
        self.monotonic_seconds = 1000.0
        self._connection = connection

    @classmethod
    async def install(cls, dsn: str, connection: Any) -> Clock:
        """Put the clock into a migrated database. Sessions that begin afterwards see it; `connection` is to set it."""
        other = await asyncpg.connect(dsn)
        await other.execute(_SET_UP)
        await other.execute("INSERT INTO mailworkers.test_clock VALUES ($1)", BEGINS)
        await other.close()
        return cls(connection)

    def monotonic(self) -> float:
        """As `time.monotonic`."""
        return self.monotonic_seconds

    async def reset(self) -> None:
        """Begin again."""
        await self._set(BEGINS)

    async def passes(self, seconds: float) -> None:
        """Time passes everywhere."""
        self.monotonic_seconds += seconds
        await self.steps(seconds)

    async def steps(self, seconds: float) -> None:
        """The database's wall clock is set, while no time passes."""
        await self._set(self.now + timedelta(seconds=seconds))

    async def _set(self, moment: datetime) -> None:
        self.now = moment
        await self._connection.execute("UPDATE mailworkers.test_clock SET moment = $1", moment)
