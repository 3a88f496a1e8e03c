"""Unknown domains: the daemon notes those that it writes to, and has their groups looked up beside its work."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailworkers.daemon.vitals import Vitals
from mailworkers.db.pool import Database
from mailworkers.destinations.lookup import Lookup
from mailworkers.queue.states import Job
from mailworkers.settings import Settings

WARNING = "mx"  # what the health page calls name servers that do not answer


def lookup_of_domains(settings: Settings, database: Database, vitals: Vitals) -> Lookup | None:
    """What learns the groups of unknown domains; nothing where MX_RESOLVER names nobody to ask.

    Args:
        settings: they name whom to ask.
        database: where the groups are.
        vitals: where it shows that nobody answers.
    """
    if not settings.mx_resolver:
        return None
    from mailworkers.destinations.resolver import MxResolver, nameservers_of  # noqa: PLC0415 -- slow to load, seldom used

    def tell(problem: str | None) -> None:
        if problem is None:
            vitals.warnings.pop(WARNING, None)
        else:
            vitals.warnings[WARNING] = problem

    return Lookup(database.claims, MxResolver(nameservers_of(settings.mx_resolver)), tell)


def noted_by(lookup: Lookup | None) -> Callable[[Sequence[Job]], None] | None:
    """What the dispatcher calls with each claim, so that its domains are looked up; nothing where nobody looks."""
    if lookup is None:
        return None
    return lambda jobs: lookup.note([job.row["to_email"] or "" for job in jobs])
