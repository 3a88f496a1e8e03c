"""What daemons do for campaigns, one statement each. Any number of daemons may do it at once: the database lets one at a time at each."""

from __future__ import annotations

from dataclasses import dataclass

from mailworkers.db.pool import Gateway


@dataclass(frozen=True, slots=True)
class Open:
    """A campaign that may have work to be done.

    `held`: nothing may be claimed of it. `at_end`: all its jobs are made. `uncounted`: it is not known yet how many leads match.
    `window` is its own, or None. `live` are its mails that have not ended.
    """

    campaign_id: int
    status: str
    held: bool
    at_end: bool
    uncounted: bool
    window: int | None
    live: int


@dataclass(frozen=True, slots=True)
class Made:
    """One step of the making: leads looked at, jobs made of them, and for how many more there is room."""

    looked: int
    made: int
    room: int
    at_end: bool


class Making:
    """The statements.

    Args:
        looks: a gateway for what is asked all the time.
        work: one for what takes longer, so that neither claims nor looks wait behind it.
    """

    def __init__(self, looks: Gateway, work: Gateway) -> None:
        self._looks = looks
        self._work = work

    async def open(self) -> list[Open]:
        """Those that are running, held with jobs, being cancelled, or due to start. Raises as `Gateway.fetch`."""
        return [Open(*row) for row in await self._looks.fetch("campaigns/open")]

    async def start_due(self) -> int:
        """Start those whose time has come; how many. Raises as `Gateway.fetch`."""
        return int(await self._work.fetchval("campaigns/start_due"))

    async def make(self, campaign_id: int, chunk: int, window: int) -> Made:
        """Make jobs for the next leads, unless another daemon is at it. Raises as `Gateway.fetch`.

        Args:
            campaign_id: its number.
            chunk: leads to look at.
            window: jobs that may be live at once, where the campaign has no bound of its own that is smaller.
        """
        row = await self._work.fetchrow("campaigns/make", campaign_id, chunk, window)
        assert row is not None
        return Made(*row)

    async def stop(self, campaign_id: int, why: str) -> None:
        """Hold a running one that cannot be made, until a person resumes it. Raises as `Gateway.fetch`."""
        await self._work.execute("campaigns/stop", campaign_id, why)

    async def count(self, campaign_id: int, chunk: int) -> bool:
        """Count the next leads that match; whether their number is known now. Raises as `Gateway.fetch`."""
        return bool(await self._work.fetchval("campaigns/count", campaign_id, chunk))

    async def cancel_jobs(self, campaign_id: int, most: int) -> int:
        """End jobs of one that is being cancelled; how many. Raises as `Gateway.fetch`."""
        return int(await self._work.fetchval("campaigns/cancel_jobs", campaign_id, most))

    async def finish(self, campaign_id: int) -> bool:
        """End one whose last mail has ended; whether it has. Raises as `Gateway.fetch`."""
        return bool(await self._work.fetchval("campaigns/finish", campaign_id))

    async def tell(self, most: int) -> None:
        """Tell listeners what has changed, of each campaign four times a second at most. Raises as `Gateway.fetch`.

        Args:
            most: campaigns told of at once, those first that were told of longest ago.
        """
        await self._looks.execute("campaigns/tell", most)
