"""From an address to a session, and every way that can fail: each ends in words for a person, and fails closed."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from mailworkers.replies import RelayDown, Throttled
from mailworkers.settings import Settings
from mailworkers.transports import transport_for
from mailworkers.transports.smtp.connect import SmtpTransport
from mailworkers.transports.smtp.session import SmtpSession
from mailworkers.transports.smtp.timeouts import StageTimeouts
from mailworkers.transports.smtp.wire import Mode
from tests.support.certificates import Certificates
from tests.support.sink import Sink
from tests.support.smtp_server import HostileServer, Talk
from tests.support.waiting import eventually
from tests.transports.smtp.sending import SECONDS, a_mail, a_session, a_transport, send

SHORT = StageTimeouts(connect=5, greeting=0.2, ehlo=0.2, starttls=0.2, auth=0.2, negotiation=5)


async def refused(transport: SmtpTransport) -> RelayDown:
    async with asyncio.timeout(SECONDS):
        ended = await transport.connect()
    assert isinstance(ended, RelayDown), ended
    return ended


class TestOffered:
    @pytest.mark.parametrize(
        ("extensions", "mode"),
        [
            ((), Mode.PLAIN),
            (("PIPELINING",), Mode.PIPELINING),
            (("PIPELINING", "CHUNKING"), Mode.CHUNKING),
            (("CHUNKING",), Mode.PLAIN),
        ],
    )
    async def test_the_mode_follows_the_offer(self, extensions: tuple[str, ...], mode: Mode) -> None:
        async with Sink(extensions=extensions) as sink, a_session(sink.port) as session:
            assert session.mode is mode

    async def test_a_relay_that_only_knows_helo(self) -> None:
        async def old(talk: Talk) -> None:
            await talk.send("220 old.example")
            await talk.expect("EHLO")
            await talk.send("502 what")
            await talk.expect("HELO")
            await talk.send("250 old.example")
            await talk.mail()

        async with HostileServer(old) as server, a_session(server.port) as session:
            await send(session, a_mail())
            assert session.mode is Mode.PLAIN


class TestUnreachable:
    async def test_connection_refused(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            down = await refused(a_transport(unused.getsockname()[1]))
        assert "refused" in down.text.lower()
        assert not down.person_must_act

    async def test_a_name_that_does_not_answer_is_temporary(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def no_answer(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_answer)
        down = await refused(a_transport(25, host="relay.example"))
        assert "relay.example" in down.text
        assert not down.person_must_act

    async def test_a_name_that_does_not_exist_needs_a_person(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def no_such_name(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", no_such_name)
        assert (await refused(a_transport(25, host="relay.example"))).person_must_act

    async def test_a_name_server_that_is_silent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def silent(*_: object, **__: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", silent)
        down = await refused(a_transport(25, host="relay.example", timeouts=StageTimeouts(connect=0.1)))
        assert "no answer" in down.text

    async def test_the_next_address_is_tried(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async with Sink() as sink:
            with socket.socket() as closed:
                closed.bind(("127.0.0.1", 0))
                ports = [closed.getsockname()[1], sink.port]

                async def two_addresses(host: str, port: int, **_: object) -> list[object]:
                    asked = ports if host == "relay.example" else [port]  # uvloop asks again for each address
                    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in asked]

                monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", two_addresses)
                async with a_session(25, host="relay.example") as session:
                    assert session.usable

    async def test_a_black_hole_ends_at_the_time_out(self) -> None:
        async def silent(talk: Talk) -> None:
            await talk.until_gone()

        async with HostileServer(silent) as server:
            down = await refused(a_transport(server.port, timeouts=SHORT))
        assert "greeting" in down.text
        assert not down.person_must_act

    async def test_a_trickled_banner_ends_at_the_time_out(self) -> None:
        async def drip(talk: Talk) -> None:
            while True:
                await talk.trickle("2")
                await asyncio.sleep(0.02)

        async with HostileServer(drip) as server:
            assert "greeting" in (await refused(a_transport(server.port, timeouts=SHORT))).text

    async def test_the_negotiation_as_a_whole_has_a_limit(self) -> None:
        async def drip(talk: Talk) -> None:
            await talk.send("220 slow.example")
            await talk.expect("EHLO")
            while True:
                await talk.send("250-and")
                await asyncio.sleep(0.02)

        async with HostileServer(drip) as server:
            down = await refused(a_transport(server.port, timeouts=StageTimeouts(negotiation=0.3)))
        assert "ehlo" in down.text

    async def test_it_vanishes_at_the_greeting(self) -> None:
        async def vanish(talk: Talk) -> None:
            talk.vanish()

        async with HostileServer(vanish) as server:
            assert not (await refused(a_transport(server.port))).person_must_act

    async def test_cancellation_leaves_no_connection(self) -> None:
        async def silent(talk: Talk) -> None:
            await talk.until_gone()

        async with HostileServer(silent) as server:
            connecting = asyncio.create_task(a_transport(server.port).connect())
            await eventually(lambda: bool(server.talks), "the relay sees the connection")
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            async with asyncio.timeout(SECONDS):
                await server.talks[0].gone.wait()

    @pytest.mark.parametrize("turns", range(24))
    async def test_a_cancellation_is_kept_at_whatever_turn_of_the_loop_it_comes(self, turns: int) -> None:
        async def silent(talk: Talk) -> None:
            await talk.until_gone()

        async with HostileServer(silent) as server:
            connecting = asyncio.create_task(a_transport(server.port).connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            async with asyncio.timeout(SECONDS):
                await asyncio.wait({connecting})
        assert connecting.cancelled()


class TestRefused:
    async def refusal(self, *lines: str) -> RelayDown | Throttled:
        async def refuse(talk: Talk) -> None:
            await talk.send(*lines)
            await talk.until_gone()

        async with HostileServer(refuse) as server, asyncio.timeout(SECONDS):
            ended = await a_transport(server.port, timeouts=SHORT).connect()
            assert not isinstance(ended, SmtpSession)
            return ended

    async def test_too_many_connections_asks_for_less(self) -> None:
        ended = await self.refusal("421 4.7.0 too many connections, try again in 2 minutes")
        assert isinstance(ended, Throttled)
        assert ended.retry_after == 120

    async def test_not_ready_is_temporary(self) -> None:
        ended = await self.refusal("421 4.3.2 shutting down")
        assert isinstance(ended, RelayDown)
        assert not ended.person_must_act

    async def test_not_wanted_needs_a_person(self) -> None:
        ended = await self.refusal("554 5.7.1 you are on a list")
        assert isinstance(ended, RelayDown)
        assert ended.person_must_act
        assert ended.reply is not None
        assert ended.reply.enhanced == "5.7.1"

    async def test_garbage(self) -> None:
        ended = await self.refusal("SSH-2.0-OpenSSH_9.2")
        assert "no SMTP reply" in ended.text

    async def test_a_greeting_of_a_megabyte(self) -> None:
        assert isinstance(await self.refusal("220 " + "x" * 1_000_000), RelayDown)

    async def test_a_reply_before_it_was_asked(self) -> None:
        assert isinstance(await self.refusal("220 eager.example", "250 PIPELINING"), RelayDown)

    async def test_a_reply_more_than_it_was_asked_for(self) -> None:
        async def chatter(talk: Talk) -> None:
            await talk.send("220 chatty.example")
            await talk.expect("EHLO")
            await talk.send("250 chatty.example", "250 and another thing")
            await talk.until_gone()

        async with HostileServer(chatter) as server:
            assert "out of turn" in (await refused(a_transport(server.port))).text


class TestTls:
    async def test_no_starttls_offered_ends_before_anything_is_sent(self) -> None:
        async with Sink(credentials={"ben": "secret"}) as sink:
            down = await refused(a_transport(sink.port, tls="required", user="ben", password="secret"))
            assert down.person_must_act
            assert "STARTTLS" in down.text
            assert set(sink.commands) == {"EHLO"}

    @pytest.mark.parametrize("implicit", [False, True])
    @pytest.mark.parametrize("kind", ["wrong_name", "expired", "good"])
    async def test_a_certificate_that_does_not_verify(
        self, kind: str, implicit: bool, certificates: Certificates
    ) -> None:
        trusted = None if kind == "good" else certificates.authority  # good, but signed by nobody we know
        async with Sink(tls=getattr(certificates, kind), implicit=implicit) as sink:
            down = await refused(a_transport(sink.port, tls="implicit" if implicit else "required", ca_file=trusted))
            assert down.text.startswith("bad certificate of 127.0.0.1: ")
            assert down.person_must_act
            assert sink.commands["AUTH"] == 0
            assert sink.commands["MAIL"] == 0

    @pytest.mark.parametrize("separately", [False, True])
    async def test_plaintext_injected_before_tls_fails_closed(
        self, separately: bool, certificates: Certificates
    ) -> None:
        async def inject(talk: Talk) -> None:
            await talk.greet("STARTTLS")
            await talk.expect("STARTTLS")
            if separately:
                await talk.send("220 go ahead")
                await talk.send("250 injected")
            else:
                await talk.send("220 go ahead", "250 injected")
            await talk.until_gone()

        async with HostileServer(inject) as server:
            down = await refused(
                a_transport(server.port, tls="required", ca_file=certificates.authority, timeouts=SHORT)
            )
            assert server.talks[0].seen[-1] == b"STARTTLS\r\n"
        assert down.text

    async def test_injected_plaintext_fails_closed_although_tls_would_succeed(self, certificates: Certificates) -> None:
        async def inject(talk: Talk) -> None:
            await talk.greet("STARTTLS")
            await talk.expect("STARTTLS")
            await talk.send("220 go ahead", "250-injected", "250 AUTH PLAIN")
            await talk.start_tls(certificates.good)
            await talk.until_gone()

        async with HostileServer(inject) as server:
            down = await refused(a_transport(server.port, tls="required", ca_file=certificates.authority))
            assert "tampering" in down.text
            assert down.person_must_act
            assert server.talks[0].seen[-1] == b"STARTTLS\r\n"

    async def test_starttls_refused(self, certificates: Certificates) -> None:
        async def refuse(talk: Talk) -> None:
            await talk.greet("STARTTLS")
            await talk.expect("STARTTLS")
            await talk.send("454 4.3.0 TLS not available")
            await talk.until_gone()

        async with HostileServer(refuse) as server:
            down = await refused(a_transport(server.port, tls="required", ca_file=certificates.authority))
            assert not down.person_must_act
            assert server.talks[0].seen[-1] == b"STARTTLS\r\n"

    async def test_a_relay_without_tls_where_it_should_begin_with_it(self, certificates: Certificates) -> None:
        async with Sink() as sink:
            down = await refused(a_transport(sink.port, tls="implicit", ca_file=certificates.authority))
            assert down.person_must_act
            assert "no TLS" in down.text

    async def test_a_file_of_certificates_that_is_not_there(self, tmp_path: Path) -> None:
        down = await refused(a_transport(25, tls="required", ca_file=tmp_path / "none.pem"))
        assert "none.pem" in down.text
        assert down.person_must_act


class TestAuth:
    async def test_wrong_credentials_need_a_person(self, certificates: Certificates) -> None:
        async with Sink(tls=certificates.good, credentials={"ben": "secret"}) as sink:
            down = await refused(
                a_transport(sink.port, tls="required", ca_file=certificates.authority, user="ben", password="guess")
            )
            assert down.person_must_act
            assert down.reply is not None
            assert down.reply.code == 535
            assert "guess" not in down.text + repr(down)

    async def test_no_auth_offered(self) -> None:
        async with Sink() as sink:
            down = await refused(a_transport(sink.port, user="ben", password="secret"))
            assert "offers no AUTH" in down.text
            assert down.person_must_act

    async def test_never_in_clear_off_loopback(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("mailworkers.transports.smtp.connect._Negotiation._peer_is_loopback", lambda _: False)
        async with Sink(credentials={"ben": "secret"}) as sink:
            down = await refused(a_transport(sink.port, user="ben", password="secret"))
            assert "in clear" in down.text
            assert sink.commands["AUTH"] == 0

    async def test_a_temporary_refusal(self) -> None:
        async def busy(talk: Talk) -> None:
            await talk.greet("AUTH PLAIN")
            await talk.expect("AUTH")
            await talk.send("454 4.7.0 temporary authentication failure")
            await talk.until_gone()

        async with HostileServer(busy) as server:
            ended = await a_transport(server.port, user="ben", password="secret").connect()
            assert isinstance(ended, Throttled)

    def test_the_password_is_not_shown(self) -> None:
        assert "secret" not in repr(a_transport(25, user="ben", password="secret")._relay)


async def test_the_transport_follows_the_settings() -> None:
    async with Sink(extensions=("PIPELINING",), credentials={"ben": "secret"}) as sink:
        settings = Settings(
            smtp_host="127.0.0.1",
            smtp_port=sink.port,
            smtp_user="ben",
            smtp_password="secret",
            smtp_helo_name="here.example",
        )
        session = await transport_for(settings).connect()
        assert isinstance(session, SmtpSession)
        await send(session, a_mail())
        session.abort()
        assert sink.mails[0].user == "ben"
