"""Learning the groups of unknown domains from their MX records, beside the flow of mail.

    note   what is claimed names its domains: those not seen lately wait, a bounded number of them
    step   now and then a few of them: the table is asked which it does not know, DNS is asked for those, the table learns

No mail waits for any of it. A name server that is silent costs its time-outs and nothing else, and is asked less and less.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import structlog

from mailworkers.db.pool import Gateway
from mailworkers.destinations import table
from mailworkers.destinations.exchanges import Exchange, MxRecords, NotAnswered
from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import ascii_domain

INTERVAL_SECONDS = 1.0  # between two rounds
ROUND_DOMAINS = 20  # with the interval, the most questions a second: a home router's name server takes that
AT_ONCE = 5  # questions under way
MOST_WAITING = 5_000  # domains, about 0.5 MB; a list with more of them is learned as its mails go on
MOST_SEEN = 20_000  # domains not to be looked at again, about 2 MB
SEEN_SECONDS = 3600.0  # for so long; also before a domain is asked for again that gave no answer
RENEW_DAYS = 7.0  # companies change their provider seldom, and a wrong group is no harm but a limit
FIRST_PAUSE_SECONDS = 30.0  # after a round without any answer; doubled each time
LONGEST_PAUSE_SECONDS = 600.0

log = structlog.get_logger(__name__)


class Lookup:
    """Looks up domains. One of it, in one task.

    Args:
        gateway: where the table is.
        records: whom to ask.
        tell: called with a sentence when nobody answers, and with None when somebody does again.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        gateway: Gateway,
        records: MxRecords,
        tell: Callable[[str | None], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._records = records
        self._tell = tell
        self._clock = clock
        self._seen: dict[str, float] = {}  # in the order of their times, oldest first
        self._waiting: dict[str, None] = {}
        self._pause = 0.0
        self._resume_at = 0.0

    @property
    def waiting(self) -> int:
        """Domains that wait to be looked at."""
        return len(self._waiting)

    def note(self, emails: Iterable[str]) -> None:
        """These addresses are written to. Quick: it only remembers.

        Args:
            emails: recipients, as their rows have them.
        """
        seen, waiting = self._seen, self._waiting
        for email in emails:
            domain = domain_of(email)
            if domain not in seen and domain not in waiting and len(waiting) < MOST_WAITING:
                waiting[domain] = None

    async def step(self) -> None:
        """One round. Raises DatabaseError."""
        now = self._clock()
        self._forget(now)
        if not self._waiting or now < self._resume_at:
            return
        domains = [domain for domain, _ in zip(self._waiting, range(ROUND_DOMAINS), strict=False)]
        unknown = await table.unknown(self._gateway, domains, RENEW_DAYS)
        names = {domain: name for domain in unknown if (name := _dns_name(domain)) is not None}
        answers = await self._ask(names)
        if answers:
            suffixes = await table.suffixes(self._gateway)
            found = {domain: suffixes.group_of(exchanges) for domain, exchanges in answers.items()}
            await table.learn(self._gateway, found)
        self._remember(domains, now)
        self._judge(asked=len(names), answered=len(answers))

    async def _ask(self, names: Mapping[str, str]) -> dict[str, list[Exchange]]:
        """The exchanges of those that were answered for, by domain.

        Args:
            names: how DNS calls each domain.
        """
        answers: dict[str, list[Exchange]] = {}
        turn = asyncio.Semaphore(AT_ONCE)

        async def ask(domain: str, name: str) -> None:
            async with turn:
                try:
                    answers[domain] = await self._records.exchanges(name)
                except NotAnswered as problem:
                    log.debug("no answer", problem=str(problem))

        async with asyncio.TaskGroup() as questions:
            for domain, name in names.items():
                questions.create_task(ask(domain, name))
        return answers

    def _forget(self, now: float) -> None:
        """What was seen long ago, and the oldest of too many."""
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) <= MOST_SEEN and now - self._seen[oldest] < SEEN_SECONDS:
                return
            del self._seen[oldest]

    def _remember(self, domains: Sequence[str], now: float) -> None:
        for domain in domains:
            del self._waiting[domain]
            self._seen[domain] = now

    def _judge(self, *, asked: int, answered: int) -> None:
        """After a round: pause where nobody answered, go on where somebody did."""
        if answered and self._pause:
            self._pause = self._resume_at = 0.0
            self._tell(None)
            log.info("MX records are answered again")
        elif asked and not answered:
            if not self._pause:
                log.warning("no answer to questions for MX records", domains=asked)
            self._pause = min(max(2 * self._pause, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
            self._resume_at = self._clock() + self._pause
            self._tell(
                f"no name server answered for the MX records of {asked} domains; their mails go out ungrouped, and the "
                f"next are asked for in {self._pause:.0f} s: check MX_RESOLVER"
            )


def domain_of(email: str) -> str:
    """The domain of an address as the table has it: in lower case, which there means ASCII's letters only.

    Args:
        email: an address, or a domain alone.
    """
    domain = email[email.rfind("@") + 1 :]
    return domain.lower() if domain.isascii() else domain.encode().lower().decode()


def _dns_name(domain: str) -> str | None:
    """How DNS calls it; None for what is no name there, or one without a dot, which is no public domain."""
    try:
        return ascii_domain(domain) if "." in domain else None
    except ComposeError:
        return None
