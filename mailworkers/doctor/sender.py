"""The sender's domain: whether receivers will find SPF, DKIM and DMARC records that let its mail in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

from mailworkers.destinations.exchanges import NotAnswered
from mailworkers.doctor.dns import TxtRecords
from mailworkers.doctor.finding import Finding, fail, ok, skip, warn
from mailworkers.settings import Settings

# RFC 2606, RFC 6761, RFC 6762: names that no receiver can look up.
PRIVATE = re.compile(r"(^|\.)(example|test|invalid|localhost|local|internal|localdomain)$")


async def check_sender(settings: Settings, dns: TxtRecords, dkim_selector: str | None) -> AsyncIterator[Finding]:
    """Look at the records of the domain of FROM_EMAIL. Where DNS cannot be asked, that is said and counts for nothing.

    Args:
        settings: names the sender.
        dns: whom to ask.
        dkim_selector: the selector that the relay signs with; it cannot be found out from outside.
    """
    domain = settings.sender_email.rpartition("@")[2].lower()
    if settings.from_email is None:
        yield warn(
            "sender", f"FROM_EMAIL is not set: mails that name no sender go out as {settings.sender_email}",
            "Set MAILWORKERS_FROM_EMAIL to an address whose domain is yours",
        )  # fmt: skip
    if "." not in domain or PRIVATE.search(domain):
        yield skip("sender DNS", f"{domain} is not a public domain: no records to look for")
        return
    try:
        records = await dns.txt(domain)
        if records is None:
            judge = fail if settings.from_email else warn  # without the setting, rows may name another sender
            yield judge(
                "sender DNS",
                f"there is no domain {domain}: receivers refuse mail from it",
                "Check MAILWORKERS_FROM_EMAIL for a typing error, or set up the domain in DNS",
            )
            return
        yield spf(domain, records)
        yield await _dkim(domain, dns, dkim_selector)
        yield await _dmarc(domain, dns)
    except NotAnswered as problem:
        yield skip("sender DNS", f"DNS gave no answer ({problem})", "Run it again where DNS can be asked")


def spf(domain: str, records: list[str]) -> Finding:
    """Judge a domain's TXT records by RFC 7208: exactly one policy, which ends somewhere and does not admit everybody."""
    found = [record for record in records if record.lower().split(" ", 1)[0] == "v=spf1"]
    if not found:
        return warn(
            "SPF",
            f"{domain} has no SPF record",
            f"Add a TXT record at {domain}: v=spf1 include:… ~all, as your relay says",
        )
    if len(found) > 1:
        return fail(
            "SPF", f"{domain} has {len(found)} SPF records: receivers ignore them all (RFC 7208 §3.2)", "Merge them"
        )
    terms = found[0].lower().split()[1:]
    if "+all" in terms or "all" in terms:
        return fail("SPF", f"the SPF record of {domain} lets anybody send in its name", "End it with ~all or -all")
    if not any(term.endswith("all") or term.startswith("redirect=") for term in terms):
        return warn("SPF", f"the SPF record of {domain} does not say what holds for everybody else", "End it with ~all")
    return ok("SPF", f"{domain} has an SPF record")


async def _dkim(domain: str, dns: TxtRecords, selector: str | None) -> Finding:
    if not selector:
        return skip("DKIM", "no selector was given, so the key cannot be looked for", "Add --dkim-selector NAME")
    name = f"{selector}._domainkey.{domain}"
    return dkim(name, await dns.txt(name) or [])


def dkim(name: str, records: list[str]) -> Finding:
    """Judge a key record by RFC 6376 §3.6.1."""
    tags = [_tags(record) for record in records]
    keys = [found["p"] for found in tags if "p" in found]
    if not keys:
        return fail(
            "DKIM", f"there is no key at {name}", "Publish the key that your relay signs with, or check the selector"
        )
    if not any(keys):
        return fail(
            "DKIM", f"the key at {name} is revoked: its p= is empty", "Publish the key that your relay signs with"
        )
    return ok("DKIM", f"there is a key at {name}")


async def _dmarc(domain: str, dns: TxtRecords) -> Finding:
    labels = domain.split(".")
    for first in range(
        len(labels) - 1
    ):  # up to the organizational domain (RFC 7489 §6.6.3), without a list of suffixes
        where = ".".join(labels[first:])
        records = [
            r for r in await dns.txt(f"_dmarc.{where}") or [] if r.lower().replace(" ", "").startswith("v=dmarc1")
        ]
        if records:
            return dmarc(where, records)
    return warn(
        "DMARC",
        f"{domain} has no DMARC record: large providers refuse or hide bulk mail without one",
        f"Add a TXT record at _dmarc.{domain}: v=DMARC1; p=none; rua=mailto:… to begin with",
    )


def dmarc(domain: str, records: list[str]) -> Finding:
    """Judge a policy by RFC 7489 §6.3."""
    if len(records) > 1:
        return fail("DMARC", f"_dmarc.{domain} has {len(records)} records: receivers ignore them all", "Keep one")
    policy = _tags(records[0]).get("p", "").lower()
    if policy not in ("none", "quarantine", "reject"):
        return fail(
            "DMARC", f"the DMARC record of {domain} has no valid policy", "Add p=none, p=quarantine or p=reject"
        )
    return ok("DMARC", f"{domain} has a DMARC record, policy {policy}")


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";") if "=" in part)
    return {name.strip().lower(): "".join(value.split()) for name, _, value in pairs}
