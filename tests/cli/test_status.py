"""`mailworkers status` and `top`: one screen, the same figures as JSON."""

from __future__ import annotations

from tests.cli.conftest import Command, Sql

DAEMON = """INSERT INTO mailworkers.email_daemons (lease_until, pid, ordinal, session_lock, instance, host, version)
    VALUES (now() + $2 * interval '1 s', 1, 1, $3, $1, 'vps', '0.1.0') RETURNING id"""


def test_a_fresh_database_says_what_to_do_first(on_database: Command) -> None:
    ended = on_database("status")

    assert ended.code == 0
    assert "mailworkers run" in ended.out
    assert "0 waiting" in ended.out


def test_figures_daemons_workers_and_failures(on_database: Command, sql: Sql) -> None:
    daemon = sql(DAEMON, "vps-1", 30.0, False)
    sql(
        "INSERT INTO mailworkers.email_workers (daemon_id, slot, name, state, sent) VALUES ($1, 1, 'w', 'idle', 7)",
        daemon,
    )
    sql(
        "INSERT INTO mailworkers.worker_metrics (minute, daemon_id, sent, failed) VALUES (date_trunc('minute', now()), 1, 7, 2)"
    )
    sql(
        "INSERT INTO mailworkers.email_retry_jobs (job_id, attempt, code, workspace_id, class, text) "
        "VALUES (1, 1, 451, 'default', 'provider', 'try [later]')"
    )
    sql("INSERT INTO mailworkers.email_jobs (to_email, text_body) VALUES ('ann@a.example', 'Hi')")

    shown = on_database("status").out
    as_json = on_database("status", "--json").json

    for word in ("1 waiting", "7 day", "2 failed", "vps-1", "alive", "1 idle", "try [later]"):
        assert word in shown, word
    assert as_json["queue"]["waiting"] == 1
    assert as_json["queue"]["oldest_due_seconds"] >= 0
    assert as_json["figures"]["sent_last_day"] == 7
    assert as_json["daemons"][0]["alive"] is True
    assert as_json["workers"][0]["sent"] == 7
    assert as_json["failures"][0]["code"] == 451
    assert as_json["warnings"] == []


def test_due_mails_without_a_daemon_are_a_warning(on_database: Command, sql: Sql) -> None:
    sql("INSERT INTO mailworkers.email_jobs (to_email, text_body) VALUES ('ann@a.example', 'Hi')")

    assert "mails are due and no daemon is running" in on_database("status").out


def test_a_daemon_that_stopped_renewing_is_named(on_database: Command, sql: Sql) -> None:
    sql(DAEMON, "vps-2", -10.0, False)

    assert "daemon vps-2 on vps does not answer" in on_database("status").out


def test_a_daemon_whose_session_is_gone_is_silent_although_its_lease_holds(on_database: Command, sql: Sql) -> None:
    sql(DAEMON, "vps-3", 30.0, True)

    assert on_database("status", "--json").json["daemons"][0]["alive"] is False


def test_jobs_for_later_are_not_late(on_database: Command, sql: Sql) -> None:
    sql(
        "INSERT INTO mailworkers.email_jobs (to_email, text_body, scheduled_at) "
        "VALUES ('ann@a.example', 'Hi', now() + interval '1 day')"
    )

    ended = on_database("status")

    assert "nothing is due" in ended.out
    assert "no daemon is running" not in ended.out


def test_top_shows_the_same_and_ends_when_told(on_database: Command) -> None:
    ended = on_database("top", "--seconds", "0")

    assert ended.code == 0
    assert "0 waiting" in ended.out


def test_failures_with_unlike_texts_are_counted_apart(on_database: Command, sql: Sql) -> None:
    for text in ("queue 7A is full", "queue 8B is full", "no such user"):
        sql(
            "INSERT INTO mailworkers.email_retry_jobs (job_id, attempt, code, workspace_id, class, text) "
            "VALUES (1, 1, 451, 'default', 'provider', $1)",
            text,
        )

    failures = on_database("status", "--json").json["failures"]

    assert [(one["times"], one["example"]) for one in failures] == [(2, "queue 7A is full"), (1, "no such user")]


def test_top_shows_what_is_wrong_first_and_only_daemons_that_run(on_database: Command, sql: Sql) -> None:
    ended_one = sql(DAEMON, "of-yesterday", 30.0, False)
    sql("UPDATE mailworkers.email_daemons SET ended_at = now(), ended_why = 'stopped' WHERE id = $1", ended_one)
    sql(DAEMON, "silent-one", -30.0, False)

    live = on_database("top", "--seconds", "0").out
    listed = on_database("status").out

    assert live.index("does not answer") < live.index("waiting")
    assert listed.index("does not answer") > listed.index("waiting")
    assert "of-yesterday" in listed
    assert "of-yesterday" not in live
