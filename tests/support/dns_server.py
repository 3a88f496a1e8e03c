"""A name server on loopback that answers questions of one kind from a table, in truth or not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

import dns.message
import dns.rcode
import dns.rrset

MOST_OCTETS = 65_507  # of a datagram


class DnsServer(asyncio.DatagramProtocol):
    """Use it as `async with DnsServer() as server:`; `address` is where it listens.

    Args:
        kind: of the records that it has.
        written: how a record's text is written in a zone file.

    `records` gives each name its records: a name that is not there does not exist, one with None gets no answer at all.
    `lies` makes the whole answer to a question about a name, as it goes over the wire. `asked` is every question in turn.
    """

    def __init__(self, kind: str = "MX", written: Callable[[str], str] = str) -> None:
        self.records: dict[str, list[str] | None] = {}
        self.lies: dict[str, Callable[[dns.message.Message], bytes]] = {}
        self.asked: list[str] = []
        self.address = ("127.0.0.1", 0)
        self._kind = kind
        self._written = written

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
        self.address = self._transport.get_extra_info("sockname")[:2]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answer(dns.message.from_wire(data))
        if answer is not None:
            self._transport.sendto(answer, addr)

    def _answer(self, question: dns.message.Message) -> bytes | None:
        name = question.question[0].name.to_text(omit_final_dot=True)
        self.asked.append(name)
        if name in self.lies:
            return self.lies[name](question)
        found = self.records.get(name, [])
        if found is None:
            return None
        answer = dns.message.make_response(question)
        if name not in self.records:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif found:
            texts = [self._written(text) for text in found]
            answer.answer.append(dns.rrset.from_text_list(f"{name}.", 60, "IN", self._kind, texts))
        return answer.to_wire(max_size=MOST_OCTETS)
