"""`mailworkers jobs`: looking at single mails, running them again, cancelling and settling them."""

from __future__ import annotations

import re

import pytest

from mailworkers.queue import records
from tests.cli.conftest import Command, Sql

INSERT = """INSERT INTO mailworkers.email_jobs (to_email, subject, text_body, workspace_id, scheduled_at)
    VALUES ($1, 'Hello', 'Hi', $2, now() + $3 * interval '1 minute') RETURNING id"""
SEND = """WITH gone AS (DELETE FROM mailworkers.email_jobs WHERE id = $1 RETURNING *)
    INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, status,
        to_email, subject, reply, content)
    SELECT id, campaign_id, created_at, scheduled_at, 1, workspace_id, job_type, $2, to_email, subject, 'because',
        CASE WHEN $2 <> 'sent' THEN to_jsonb(gone) END
    FROM gone"""
STATUS = "SELECT status FROM mailworkers.email_job_status WHERE job_id = $1"
LEASE = (
    """UPDATE mailworkers.email_jobs SET status = 'sending', lease = 1, daemon_id = 1, deadline = now() WHERE id = $1"""
)
FAIL = """WITH failed AS (
        UPDATE mailworkers.email_jobs SET status = 'retrying', attempts = 1, scheduled_at = now() + interval '5 min'
        WHERE id = $1 RETURNING id)
    INSERT INTO mailworkers.email_retry_jobs (job_id, next_try_at, attempt, code, workspace_id, class, stage, enhanced_code, text)
    SELECT id, now() + interval '5 min', 1, 451, 'default', 'provider', 'rcpt', '4.3.0', 'greylisted' FROM failed"""

FAIL_ALL = "UPDATE mailworkers.email_jobs SET status = 'retrying', attempts = 1"


@pytest.fixture
def job(sql: Sql) -> int:
    """The number of a job that waits."""
    return int(sql(INSERT, "ann@a.example", "default", 0))


def test_a_list_of_nothing_says_so(on_database: Command) -> None:
    assert on_database("jobs", "list").out == "No such jobs.\n"
    assert on_database("jobs", "list", "--json").json == []


def test_the_newest_come_first_live_and_ended_together(on_database: Command, sql: Sql) -> None:
    ids = [int(sql(INSERT, f"lead{number}@a.example", "default", 0)) for number in range(4)]
    sql(SEND, ids[2], "sent")

    listed = on_database("jobs", "list", "--limit", "3", "--json").json

    assert [line["job_id"] for line in listed] == ids[:0:-1]
    assert [line["status"] for line in listed] == ["waiting", "sent", "waiting"]
    assert on_database("jobs", "list").out.count("@a.example") == 4


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--status", "waiting"), ["ann@a.example", "bo@b.example"]),
        (("--status", "retrying"), ["cy@a.example"]),
        (("--status", "sending"), ["di@a.example"]),
        (("--status", "paused"), []),
        (("--status", "sent"), ["ed@a.example"]),
        (("--status", "failed"), ["fay@a.example"]),
        (("--to", "ANN@A.example"), ["ann@a.example"]),
        (("--workspace", "other"), ["bo@b.example"]),
        (("--workspace", "other", "--status", "sent"), []),
    ],
)
def test_lists_are_filtered(on_database: Command, sql: Sql, options: tuple[str, ...], found: list[str]) -> None:
    ann, bo, cy, di, ed, fay = (
        int(sql(INSERT, f"{name}@{domain}.example", workspace, 0))
        for name, domain, workspace in (
            ("ann", "a", "default"), ("bo", "b", "other"), ("cy", "a", "default"),
            ("di", "a", "default"), ("ed", "a", "default"), ("fay", "a", "default"),
        )
    )  # fmt: skip
    assert ann < bo
    sql(FAIL, cy)
    sql(LEASE, di)
    sql(SEND, ed, "sent")
    sql(SEND, fay, "failed")

    listed = on_database("jobs", "list", "--json", *options).json

    assert sorted(line["to_email"] for line in listed) == found


@pytest.mark.parametrize("status", ["", "waiting", "retrying", "sent", "failed"])
def test_a_list_looks_further_back_where_it_finds_nothing(
    on_database: Command, sql: Sql, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    """Given ten newer jobs of every kind, when one looks at 3 at a time, then the old one is found; and where there is no time
    for that, it says so."""
    monkeypatch.setattr(records, "LOOKED_AT", 3)
    campaign = INSERT.replace("workspace_id", "campaign_id, workspace_id").replace("$2,", "17, $2,")
    old = int(sql(campaign, "old@a.example", "shop", 0))
    jobs = [old] + [int(sql(INSERT, f"lead{number}@a.example", "default", 0)) for number in range(10)]
    if status == "retrying":
        sql(FAIL_ALL)
    elif status in ("sent", "failed"):
        for job in jobs:
            sql(SEND, job, status)
    for wanted in (("--to", "old@a.example"), ("--workspace", "shop"), ("--campaign", "17")):
        options = (*(("--status", status) if status else ()), *wanted)

        found = on_database("jobs", "list", "--json", *options)

        assert [line["job_id"] for line in found.json] == [old]
        assert "newest" not in found.err

    monkeypatch.setattr(records.list_jobs, "__defaults__", (0.0,))
    cut = on_database("jobs", "list", "--to", "old@a.example", *(("--status", status) if status else ()))
    assert "No such jobs" in cut.out
    assert "only the newest 3 jobs were looked at" in cut.err


def test_one_job_is_shown_with_its_failed_attempts(on_database: Command, sql: Sql, job: int) -> None:
    sql(FAIL, job)

    shown = on_database("jobs", "show", str(job))
    as_json = on_database("jobs", "show", str(job), "--json").json

    for word in ("retrying", "ann@a.example", "greylisted", "451 4.3.0", "provider"):
        assert word in shown.out
    assert as_json["live"] is True
    assert as_json["failed_attempts"][0]["text"] == "greylisted"


def test_one_that_ended_is_shown_too(on_database: Command, sql: Sql, job: int) -> None:
    sql(SEND, job, "failed")

    assert "because" in on_database("jobs", "show", str(job)).out


def test_a_number_that_no_job_has(on_database: Command) -> None:
    for command in (["show"], ["retry"], ["cancel"], ["settle", "--sent"], ["settle", "--retry"]):
        ended = on_database("jobs", *command, "4711")
        assert (ended.code, ended.out) == (1, "")
        assert ended.err == "mailworkers: there is no job 4711. See `mailworkers jobs list`\n"


def test_a_retrying_job_runs_now(on_database: Command, sql: Sql, job: int) -> None:
    sql(FAIL, job)

    ended = on_database("jobs", "retry", str(job))

    assert (ended.code, ended.out) == (0, f"Job {job} is due now.\n")
    assert sql("SELECT scheduled_at <= now() FROM mailworkers.email_jobs WHERE id = $1", job)


@pytest.mark.parametrize("status", ["failed", "abandoned", "cancelled", "suppressed"])
def test_one_that_ended_unsent_lives_again_as_the_same_job(
    on_database: Command, sql: Sql, job: int, status: str
) -> None:
    token = sql("SELECT message_token FROM mailworkers.email_jobs WHERE id = $1", job)
    sql(SEND, job, status)

    ended = on_database("jobs", "retry", str(job))

    assert ended.code == 0
    assert sql("SELECT message_token FROM mailworkers.email_jobs WHERE id = $1 AND status = 'waiting'", job) == token
    assert sql("SELECT attempts FROM mailworkers.email_jobs WHERE id = $1", job) == 0
    assert sql("SELECT count(*) FROM mailworkers.email_sends") == 0


def test_its_idempotency_key_is_still_its_own(on_database: Command, sql: Sql) -> None:
    job = int(
        sql(
            "INSERT INTO mailworkers.email_jobs (to_email, text_body, idempotency_key) "
            "VALUES ('ann@a.example', 'Hi', 'once') RETURNING id"
        )
    )
    sql(SEND, job, "failed")

    assert on_database("jobs", "retry", str(job)).code == 0
    assert sql("SELECT idempotency_key FROM mailworkers.email_jobs WHERE id = $1", job) == "once"


@pytest.mark.parametrize(
    ("change", "status", "complaint"),
    [
        (SEND, "sent", "was sent: it would go out twice"),
        (SEND, "unknown", "may have been sent, nobody here can know"),
        (LEASE, None, "is being sent just now"),
        (None, None, "waits for its turn and needs no retry"),
    ],
)
def test_a_retry_that_makes_no_sense_is_refused(
    on_database: Command, sql: Sql, job: int, change: str | None, status: str | None, complaint: str
) -> None:
    if change:
        sql(change, *([job, status] if status else [job]))
    before = sql(STATUS, job)

    ended = on_database("jobs", "retry", str(job))

    assert ended.code == 1
    assert f"job {job} {complaint}" in ended.err
    assert sql(STATUS, job) == before


def test_an_unknown_end_is_retried_only_where_a_person_says_so(on_database: Command, sql: Sql, job: int) -> None:
    sql(SEND, job, "unknown")

    assert on_database("jobs", "retry", str(job), "--even-if-perhaps-sent").code == 0
    assert sql(STATUS, job) == "waiting"


def test_what_to_search_a_relays_log_for_is_shown(on_database: Command, sql: Sql, job: int) -> None:
    token = sql("SELECT message_token FROM mailworkers.email_jobs WHERE id = $1", job)
    sql(SEND, job, "unknown")

    assert on_database("jobs", "show", str(job), "--json").json["message_token"] == token.hex


def test_one_that_arrived_is_settled_as_sent(on_database: Command, sql: Sql, job: int) -> None:
    sql(SEND, job, "unknown")

    ended = on_database("jobs", "settle", str(job), "--sent")

    assert (ended.code, ended.out) == (0, f"Job {job} counts as sent.\n")
    assert sql(STATUS, job) == "sent"
    shown = on_database("jobs", "show", str(job), "--json").json
    assert re.fullmatch(r"settled by a person on [-\d]{10} \d\d:\d\d UTC: it was sent; before: because", shown["reply"])


def test_one_that_did_not_arrive_is_sent_again(on_database: Command, sql: Sql, job: int) -> None:
    sql(SEND, job, "unknown")

    ended = on_database("jobs", "settle", str(job), "--retry", "--json")

    assert ended.json["changed"] is True
    assert sql(STATUS, job) == "waiting"
    assert "to be sent again; before: because" in on_database("jobs", "show", str(job)).out.replace("\n", " ")


@pytest.mark.parametrize("options", [(), ("--sent", "--retry")])
def test_settling_needs_one_word(on_database: Command, sql: Sql, job: int, options: tuple[str, ...]) -> None:
    sql(SEND, job, "unknown")

    ended = on_database("jobs", "settle", str(job), *options)

    assert ended.code == 2
    assert "either --sent or --retry" in ended.err
    assert sql(STATUS, job) == "unknown"


@pytest.mark.parametrize("first", ["--sent", "--retry"])
def test_one_that_is_settled_already_says_so(on_database: Command, sql: Sql, job: int, first: str) -> None:
    sql(SEND, job, "unknown")
    assert on_database("jobs", "settle", str(job), first).code == 0
    before = sql(STATUS, job)

    ended = on_database("jobs", "settle", str(job), "--sent", "--json")

    assert ended.code == 1
    assert f"job {job} is {before}: it was settled by a person on " in ended.json["why"]
    assert sql(STATUS, job) == before


@pytest.mark.parametrize(
    ("change", "status"), [(None, "waiting"), (LEASE, "sending"), (SEND, "failed"), (SEND, "sent")]
)
def test_only_an_unknown_end_can_be_settled(
    on_database: Command, sql: Sql, job: int, change: str | None, status: str
) -> None:
    if change:
        sql(change, *([job, status] if change is SEND else [job]))

    for option in ("--sent", "--retry"):
        ended = on_database("jobs", "settle", str(job), option)

        assert ended.code == 1
        assert f"job {job} is {status}: only one of unknown end can be settled" in ended.err
        assert sql(STATUS, job) == status


def test_a_refused_retry_of_an_unknown_end_tells_how_to_settle_it(on_database: Command, sql: Sql, job: int) -> None:
    sql(SEND, job, "unknown")

    assert f"`mailworkers jobs settle {job} --sent` or `--retry`" in on_database("jobs", "retry", str(job)).err


@pytest.mark.parametrize("change", [None, FAIL])
def test_a_job_that_waits_is_cancelled_and_can_be_brought_back(
    on_database: Command, sql: Sql, job: int, change: str | None
) -> None:
    if change:
        sql(change, job)

    cancelled = on_database("jobs", "cancel", str(job), "--json")

    assert cancelled.json == {"job_id": job, "changed": True, "now": "is cancelled"}
    assert sql(STATUS, job) == "cancelled"
    assert on_database("jobs", "retry", str(job)).code == 0
    assert sql(STATUS, job) == "waiting"


@pytest.mark.parametrize(
    ("change", "complaint"), [(LEASE, "is being sent just now"), (SEND, "has already ended: it is sent")]
)
def test_what_is_being_sent_or_was_cannot_be_cancelled(
    on_database: Command, sql: Sql, job: int, change: str, complaint: str
) -> None:
    sql(change, *([job, "sent"] if change is SEND else [job]))

    ended = on_database("jobs", "cancel", str(job), "--json")

    assert ended.code == 1
    assert ended.json["changed"] is False
    assert complaint in ended.json["why"]


def test_text_from_outside_cannot_draw_on_the_terminal(on_database: Command, sql: Sql) -> None:
    job = sql(INSERT, "[red]ann@a.example".replace("[red]", "r+"), "[bold]x[/bold]", 0)

    assert "[bold]x[/bold]" in on_database("jobs", "show", str(job)).out
