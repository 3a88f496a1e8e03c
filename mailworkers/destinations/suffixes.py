"""Whose mail exchanges a domain's are: the providers' host names, compared from their ends, whole labels at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mailworkers.destinations.exchanges import Exchange

EVERYTHING_ELSE = ""  # the group of domains that belong to no provider of the table


class Suffixes:
    """The table of providers' host names.

    Args:
        groups: destination group by suffix, such as `google.com`, in lower case.
    """

    def __init__(self, groups: Mapping[str, str]) -> None:
        self._groups = groups

    def group_of(self, exchanges: Sequence[Exchange]) -> str:
        """The group of a domain with these exchanges; `EVERYTHING_ELSE` for none.

        Only those of the best preference count: a backup elsewhere, or a trap for spammers, is not where mail goes.
        """
        best = min((exchange.preference for exchange in exchanges), default=0)
        hosts = sorted(exchange.host for exchange in exchanges if exchange.preference == best)
        groups = (self._group_of_host(host) for host in hosts)
        return next((group for group in groups if group != EVERYTHING_ELSE), EVERYTHING_ELSE)

    def _group_of_host(self, host: str) -> str:
        """By the longest suffix."""
        rest = host.lower().rstrip(".")
        while rest:
            if rest in self._groups:
                return self._groups[rest]
            _, _, rest = rest.partition(".")
        return EVERYTHING_ELSE
