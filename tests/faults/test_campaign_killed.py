"""Case 43: kill -9 while a campaign is made, paused, resumed and cancelled: its counts are exact, and nobody is written to twice."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable

from mailworkers.transports.base import MOST_AT_ONCE
from tests.faults.conftest import Measured, Place
from tests.support.campaigns import ask, assert_exact, becomes, prepare, progress, start
from tests.support.daemon import DaemonProcess
from tests.support.sink import Sink
from tests.support.waiting import eventually

StartDaemon = Callable[..., DaemonProcess]
KILLS = int(os.environ.get("MAILWORKERS_TEST_CAMPAIGN_KILLS", "4"))  # the full form has 100
LEADS = 1500 * (KILLS + 1)
# Few enough are made ahead that each kill meets the making, and so slowly sent that it lasts.
LIMITS = {
    "MIN_WORKERS": 2,
    "MAX_WORKERS": 2,
    "MAX_UNWRITTEN": 50,
    "CAMPAIGN_WINDOW": 300,
    "SYSTEM_RATE_PER_SECOND": 1500,
}
MOST_TWICE = 2 * MOST_AT_ONCE + 50  # of one kill: mails in flight and results not written
WITHIN_SECONDS = 0.4  # after the deed, so that it is killed before, in and after what it does for it
SECONDS = 60.0 + LEADS / 300


async def test_case_43_killed_while_a_campaign_is_made_paused_and_resumed(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    async with Sink(keep_content=False) as sink:
        # given a campaign at work
        await prepare(place.owner, LEADS)
        campaign = await start(place.owner)

        # when its daemon is killed again and again, close to a pause, a resumption, or neither
        for kill in range(KILLS):
            daemon = start_daemon(place.dsn(), sink.port, INSTANCE=f"daemon-{kill}", **LIMITS)
            await daemon.ready()
            before = len(sink.mails)
            for deed in chance.choice([("resume",), ("resume", "pause"), ("resume", "pause", "resume")]):
                await ask(place.owner, deed, campaign)
                await asyncio.sleep(chance.uniform(0, WITHIN_SECONDS))
            daemon.kill()
            # then the counts are those of the rows at once, whatever was under way
            said = await assert_exact(place.owner, campaign)
            assert said["live"] <= LIMITS["CAMPAIGN_WINDOW"]
            assert said["sent"] <= len({mail.rcpt_to for mail in sink.mails}), before

        # and the next daemon ends it: one mail for each lead
        start_daemon(place.dsn(), sink.port, INSTANCE="last", **LIMITS)
        await ask(place.owner, "resume", campaign)
        await becomes(place.owner, campaign, "finished", SECONDS)
        said = await assert_exact(place.owner, campaign)
        arrived = Counter(mail.rcpt_to for mail in sink.mails)
        twice = len(sink.mails) - len(arrived)
        assert (said["sent"], said["expected"], len(arrived)) == (LEADS, LEADS, LEADS)
        assert len(sink.message_ids) == LEADS
        assert twice <= KILLS * MOST_TWICE
        measured(
            f"case 43: {KILLS} kills within a campaign to {LEADS} leads (seed {seed}): {LEADS} sent once by the counts, lost 0, sent twice "
            f"{twice} (at most {KILLS * MOST_TWICE} are promised)"
        )


async def test_case_43_killed_while_a_campaign_is_cancelled(
    place: Place, start_daemon: StartDaemon, measured: Measured
) -> None:
    chance = random.Random()
    async with Sink(keep_content=False) as sink:
        # given a campaign at work
        await prepare(place.owner, LEADS)
        campaign = await start(place.owner)
        daemon = start_daemon(place.dsn(), sink.port, INSTANCE="first", **LIMITS)
        await daemon.ready()
        await eventually(lambda: len(sink.mails) > 300, "it is at work")

        # when it is cancelled and its daemon killed close to that
        await ask(place.owner, "cancel", campaign)
        await asyncio.sleep(chance.uniform(0, 0.05))
        daemon.kill()
        await assert_exact(place.owner, campaign)

        # then another one ends it, and sends nothing but what the dead one had begun
        before = len(sink.mails)
        start_daemon(place.dsn(), sink.port, INSTANCE="second", **LIMITS)
        await becomes(place.owner, campaign, "cancelled", SECONDS)
        assert len(sink.mails) == before
        said = await assert_exact(place.owner, campaign)
        assert said["live"] == 0
        assert said["made"] == said["sent"] + said["cancelled"] < LEADS
        unrecorded = len({mail.rcpt_to for mail in sink.mails}) - said["sent"]
        assert 0 <= unrecorded <= MOST_TWICE
        assert (await progress(place.owner, campaign))["status"] == "cancelled"
        measured(
            f"case 43: killed while cancelling after {before} mails: {said['cancelled']} recorded as cancelled, no mail afterwards, "
            f"{unrecorded} sent without a record (at most {MOST_TWICE})"
        )
