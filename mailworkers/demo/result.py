"""What the demo showed: every lead accounted for, and whether every valid one got exactly one mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mailworkers.demo.capture import Captured
from mailworkers.demo.inserting import Inserted
from mailworkers.demo.leads import Lead, LeadList
from mailworkers.errors import ComposeError
from mailworkers.mail.addresses import wire_address


@dataclass(frozen=True, slots=True)
class Result:
    """`rows` = `valid` + `duplicates` + the sum of `refused`, whose keys are reasons. `captured` counts mails that
    arrived; `missing`, `repeated` and `strangers` are addresses with no mail, more than one, or one nobody asked for.
    `not_sent` counts what the record says of mails that did not go out."""

    rows: int
    valid: int
    duplicates: int
    refused: Mapping[str, int]
    sent: int
    captured: int
    missing: tuple[str, ...]
    repeated: tuple[str, ...]
    strangers: tuple[str, ...]
    not_sent: Mapping[str, int]
    seconds: float
    mails_per_second: float
    message: Captured | None

    @property
    def complete(self) -> bool:
        """Every valid lead got exactly one mail, nobody else got any, and the record says the same."""
        wrong = self.missing or self.repeated or self.strangers
        return not wrong and self.sent == self.captured == self.valid


def account(
    leads: LeadList,
    inserted: Inserted,
    recipients: Mapping[str, int],
    ends: Mapping[tuple[str, str], int],
    seconds: float,
    sending_seconds: float,
    messages: list[Captured],
) -> Result:
    """Compare the list, the database's answers, what arrived, and the record.

    Args:
        leads: the file, each address once.
        inserted: what the database took and refused.
        recipients: how often each address was written to, as the capturing server counted.
        ends: how many mails ended how: (status, reason) → number, as the record has it.
        seconds: for all of it.
        sending_seconds: from the first insert to the last mail's arrival.
        messages: captured ones, of which one is shown.
    """
    refused: Counter[str] = Counter()
    for lead in leads.leads:
        if lead.key in inserted.refused:
            refused[inserted.refused[lead.key]] += leads.times[lead.key]
    wire, beyond_dns = _wire_addresses(inserted.accepted)
    for lead, why in beyond_dns:
        refused[why] += leads.times[lead.key]
    captured = sum(recipients.values())
    return Result(
        rows=leads.rows,
        valid=len(wire),
        duplicates=leads.rows - refused.total() - len(wire),
        refused=dict(refused.most_common()),
        sent=sum(times for (status, _), times in ends.items() if status == "sent"),
        captured=captured,
        missing=tuple(sorted(wire - recipients.keys())),
        repeated=tuple(sorted(address for address, times in recipients.items() if times > 1)),
        strangers=tuple(sorted(recipients.keys() - wire)),
        not_sent={f"{status}: {why}": times for (status, why), times in ends.items() if status != "sent"},
        seconds=seconds,
        mails_per_second=captured / sending_seconds if sending_seconds > 0 else 0.0,
        message=_most_telling(messages),
    )


def _wire_addresses(accepted: list[Lead]) -> tuple[set[str], list[tuple[Lead, str]]]:
    """The addresses as envelopes carry them, and the few that only IDNA's rules show to be no addresses."""
    wire: set[str] = set()
    refused: list[tuple[Lead, str]] = []
    for lead in accepted:
        try:
            wire.add(wire_address(lead.email, "to_email"))
        except ComposeError as bad:
            refused.append((lead, bad.message))
    return wire, refused


def _most_telling(messages: list[Captured]) -> Captured | None:
    """One with something beyond ASCII in its headers, where there is any."""
    encoded = [mail for mail in messages if b"=?utf-8?" in mail.content.partition(b"\r\n\r\n")[0].lower()]
    return next(iter(encoded or messages), None)
