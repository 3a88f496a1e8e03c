"""Asking DNS for MX records: bounded in time, in size, and in what is believed. "Could not ask" is told apart from "there is none".

By UDP alone: the exchanges of any real domain fit into one datagram, and what is larger is not worth the time to read it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Sequence
from typing import cast

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.resolver

from mailworkers.destinations.exchanges import Exchange, NotAnswered

QUESTION_SECONDS = 4.0  # all tries of one question together
TRIES = 2  # of each name server: a datagram may be lost
ANSWER_OCTETS = 1232  # asked for (EDNS, RFC 6891): what crosses every network in one piece
MOST_OCTETS = 4096  # believed: reading takes time that mails wait for, so what nobody asked for is dropped unread
MOST_EXCHANGES = 20  # of a domain: the best ones; more are a mistake, or a trick
SYSTEM = "system"
DNS_PORT = 53


class MxResolver:
    """Asks given name servers, or the system's.

    Args:
        nameservers: (address, port) pairs; none for the system's.
        seconds: for one question with all its tries.
    """

    def __init__(self, nameservers: Sequence[tuple[str, int]] = (), seconds: float = QUESTION_SECONDS) -> None:
        self._nameservers = nameservers
        self._seconds = seconds

    async def exchanges(self, domain: str) -> list[Exchange]:
        """The domain's exchanges, the best first; empty where it has none, or says that it takes no mail (RFC 7505).

        Raises:
            NotAnswered: nobody could be asked.
        """
        try:
            query = dns.message.make_query(domain, dns.rdatatype.MX, use_edns=0, payload=ANSWER_OCTETS)
            nameservers = self._nameservers or _of_the_system()
            answer = await self._ask(query, nameservers)
            found = answer.resolve_chaining().answer
        except (dns.exception.DNSException, OSError, TimeoutError) as problem:
            raise NotAnswered(f"{type(problem).__name__} for {domain}") from None
        records = [cast("dns.rdtypes.ANY.MX.MX", record) for record in found or ()]
        named = sorted((record.preference, record.exchange) for record in records if record.exchange != dns.name.root)
        return [Exchange(preference, str(host).rstrip(".").lower()) for preference, host in named[:MOST_EXCHANGES]]

    async def _ask(
        self, query: dns.message.QueryMessage, nameservers: Sequence[tuple[str, int]]
    ) -> dns.message.QueryMessage:
        """The first answer that is one. Raises TimeoutError."""
        async with asyncio.timeout(self._seconds):
            for address in [*nameservers] * TRIES:
                with contextlib.suppress(TimeoutError, OSError):
                    async with asyncio.timeout(self._seconds / TRIES / len(nameservers)):
                        answer = await _ask_one(query, address)
                    if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                        return answer
        raise TimeoutError


class _Listening(asyncio.DatagramProtocol):
    """Waits for the answer to one question. A port and a number that nobody knows keep others from answering it."""

    def __init__(self, query: dns.message.QueryMessage) -> None:
        self._query = query
        self.answer: asyncio.Future[dns.message.QueryMessage] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _addr: object) -> None:
        if self.answer.done() or len(data) > MOST_OCTETS:
            return
        with contextlib.suppress(dns.exception.DNSException):
            message = dns.message.from_wire(data)
            if isinstance(message, dns.message.QueryMessage) and self._query.is_response(message):
                self.answer.set_result(message)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def _ask_one(query: dns.message.QueryMessage, address: tuple[str, int]) -> dns.message.QueryMessage:
    """Ask one name server, and wait for what answers the question. Raises OSError."""
    loop = asyncio.get_running_loop()
    transport, listening = await loop.create_datagram_endpoint(lambda: _Listening(query), remote_addr=address)
    try:
        transport.sendto(query.to_wire())
        return await listening.answer
    finally:
        transport.close()


def _of_the_system() -> list[tuple[str, int]]:
    """Raises dns.resolver.NoResolverConfiguration."""
    system = dns.resolver.Resolver()
    return [(str(address), system.port) for address in system.nameservers]


def nameservers_of(setting: str) -> tuple[tuple[str, int], ...]:
    """What MX_RESOLVER names: nothing for `system`, else one address and port.

    Args:
        setting: `system`, `192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:5353`.
    """
    if setting == SYSTEM:
        return ()
    host, colon, port = setting.rpartition(":")
    if not colon or (":" in host and not host.endswith("]")):
        host, port = setting, str(DNS_PORT)
    return ((str(ipaddress.ip_address(host.strip("[]"))), int(port)),)
