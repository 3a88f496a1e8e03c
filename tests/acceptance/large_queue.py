"""A queue and a history of the size at which a wrong plan shows, made in seconds by statements over generate_series."""

from __future__ import annotations

from typing import Any

LANES = 150  # 3 destination groups in each of 50 workspaces
LATER = 1_000_000

# What every row was checked for when an application inserted it is not what is looked at here, and takes most of the time.
_WITHOUT_CHECKS = """
DO $$
DECLARE
    named record;
BEGIN
    FOR named IN SELECT conname FROM pg_constraint WHERE conrelid = 'mailworkers.email_jobs'::regclass AND contype = 'c' LOOP
        EXECUTE format('ALTER TABLE mailworkers.email_jobs DROP CONSTRAINT %I', named.conname);
    END LOOP;
END
$$;
"""

# Statistics come only when a test asks for them.
_WITHOUT_AUTOVACUUM = "ALTER TABLE mailworkers.{table} SET (autovacuum_enabled = false);"
_QUEUE_TABLES = ("email_jobs", "email_blobs", "email_idempotency_keys", "worker_metrics", "worker_rate_limits",
                 "leads", "lead_lists", "lead_list_members", "lead_imports", "lead_import_rejects",
                 "campaign_sends", "progress_tracking", "warmups", "warmup_days")  # fmt: skip

# 20 daemons live and hold jobs 1 to 2,000, of which 50 are past their deadline; two have ended and hold 2,001 to 2,200.
_SENDING = """
INSERT INTO mailworkers.email_daemons (lease_until, pid, ordinal, session_lock, instance, host, version, ended_at)
SELECT now() + interval '1 hour', n, n, false, 'large', 'host.example', '1', CASE WHEN n > 20 THEN now() END
FROM generate_series(1, 22) AS n;
INSERT INTO mailworkers.email_workers (daemon_id, slot, name, state)
SELECT daemon, slot, 'large/' || slot, 'idle' FROM generate_series(1, 22) AS daemon, generate_series(1, 10) AS slot;
INSERT INTO mailworkers.email_jobs (status, lease, daemon_id, deadline, workspace_id, to_email, subject, text_body)
SELECT 'sending', n, CASE WHEN n <= 2000 THEN n % 20 + 1 ELSE n % 2 + 21 END,
    now() + CASE WHEN n <= 50 THEN -1 ELSE 1 END * interval '5 minutes',
    'workspace-' || n % 50, 'reader' || n || '@example.org', 'Hello', 'Hi'
FROM generate_series(1, 2200) AS n;
"""

# Due and later, in every lane, in four priorities; one in ten waits for another try, one in twenty is paused. At the best
# priority each lane has ten.
_MIXED = """
INSERT INTO mailworkers.email_jobs (status, scheduled_at, priority, workspace_id, destination_group, to_email, subject, text_body)
SELECT CASE WHEN n % 10 = 0 THEN 'retrying' WHEN n % 20 = 1 THEN 'paused' ELSE 'waiting' END,
    now() + (n % 1000 - 700) * interval '1 minute', (n % 4) * 10,
    'workspace-' || n % 50, (ARRAY['', 'google', 'outlook'])[n % 3 + 1], 'reader' || n || '@example.org', 'Hello', 'Hi'
FROM generate_series(1, 120000) AS n;
INSERT INTO mailworkers.email_jobs (scheduled_at, priority, workspace_id, destination_group, to_email, subject, text_body)
SELECT now() - interval '1 minute', -100,
    'workspace-' || n % 50, (ARRAY['', 'google', 'outlook'])[n % 3 + 1], 'reader' || n || '@example.org', 'Hello', 'Hi'
FROM generate_series(1, 1500) AS n;
"""

_LATER = """
INSERT INTO mailworkers.email_jobs (scheduled_at, priority, workspace_id, destination_group, to_email, subject, text_body)
SELECT now() + interval '1 day' + n * interval '1 millisecond', -100,
    'workspace-' || n % 50, (ARRAY['', 'google', 'outlook'])[n % 3 + 1], 'reader' || n || '@example.org', 'Hello', 'Hi'
FROM generate_series(1, $1::integer) AS n
"""

# Three months, and rows that no month took; the queue's other tables.
_HISTORY = """
INSERT INTO mailworkers.email_sends (job_id, created_at, scheduled_at, finished_at, attempts, workspace_id, job_type, status,
    to_email, subject, message_id, content)
SELECT n + 5000000, now(), now(), date_trunc('month', now()) + (n % 90 - 10) * interval '1 day', 1, 'workspace-' || n % 50, 'send-email',
    CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'sent' END, 'reader' || n || '@example.org', 'Hello', 'id' || n || '@example.org',
    CASE WHEN n % 50 = 0 THEN whole.job || jsonb_build_object('id', n + 5000000) END
FROM generate_series(1, 200000) AS n, (SELECT to_jsonb(job) AS job FROM mailworkers.email_jobs AS job WHERE id = 3000) AS whole;
INSERT INTO mailworkers.email_retry_jobs (job_id, created_at, attempt, workspace_id, class, text)
SELECT n + 5000000, date_trunc('month', now()) + (n % 90 - 10) * interval '1 day', 1, 'workspace-' || n % 50, 'network', 'it broke'
FROM generate_series(1, 100000) AS n;
INSERT INTO mailworkers.email_idempotency_keys (workspace_id, idempotency_key, job_id, created_at)
SELECT 'workspace-' || n % 50, 'key-' || n, n, now() - (n % 395) * interval '1 day' FROM generate_series(1, 200000) AS n;
INSERT INTO mailworkers.email_blobs (workspace_id, filename, content, created_at)
SELECT 'workspace-' || n % 50, 'file-' || n, 'content', now() - (n % 400) * interval '1 day' FROM generate_series(1, 20000) AS n;
INSERT INTO mailworkers.worker_metrics (minute, daemon_id, sent)
SELECT date_trunc('minute', now()) - n * interval '1 minute', daemon, 1
FROM generate_series(1, 36 * 24 * 60) AS n, generate_series(1, 2) AS daemon;
INSERT INTO mailworkers.worker_rate_limits (tokens, capacity, rate, updated_at, scope, name, period)
SELECT 1, 10, 1, now() - (n % 48) * interval '1 hour', 'worker', 'large/' || n, 'minute' FROM generate_series(1, 20000) AS n;
"""

# A hundred lists in each workspace, of which the first has all leads; imports of which one in a hundred has not ended.
_LEADS = """
INSERT INTO mailworkers.leads (workspace_id, email, name, data)
SELECT 'workspace-' || n % 50, 'lead' || n || '@a.example', 'Ann', '{"city": "Bonn"}' FROM generate_series(1, 100000) AS n;
INSERT INTO mailworkers.lead_lists (workspace_id, name)
SELECT 'workspace-' || n % 50, 'list ' || (n + 49) / 50 FROM generate_series(1, 5000) AS n;
INSERT INTO mailworkers.lead_list_members (list_id, lead_id)
SELECT list.id, lead.id FROM mailworkers.leads AS lead JOIN mailworkers.lead_lists AS list USING (workspace_id) WHERE list.name = 'list 1';
INSERT INTO mailworkers.lead_imports (workspace_id, fingerprint, status, on_existing, source)
SELECT 'workspace-' || n % 50, 'print-' || n, CASE WHEN n % 100 = 0 THEN 'running' ELSE 'finished' END, 'update', 'list.csv'
FROM generate_series(1, 20000) AS n;
INSERT INTO mailworkers.lead_import_rejects (import_id, line, email, reason)
SELECT n % 4, n, 'nobody', 'no address' FROM generate_series(1, 40000) AS n;
"""

# 5,000 campaigns of which the first few are open, each in the middle of its way; two of them with jobs.
_CAMPAIGNS = """
INSERT INTO mailworkers.templates (workspace_id, name, version, missing, subject, text_body)
SELECT 'workspace-' || n, 'letter', 1, 'error', 'Hello', 'Hi' FROM generate_series(0, 49) AS n;
INSERT INTO mailworkers.campaign_sends (workspace_id, name, status, template, revision, looked_at, made, skipped, next_lead, last_lead,
    started_at, paused_at, finished_at)
SELECT 'workspace-' || n % 50, 'campaign ' || n, coalesce((ARRAY['running', 'draft', 'paused', 'cancelling'])[n], 'finished'),
    'letter@1', 2, 1000, 900, 100, 50000, 100000, CASE WHEN n <> 2 THEN now() END, CASE WHEN n = 3 THEN now() END,
    CASE WHEN n > 4 THEN now() - n * interval '1 minute' END
FROM generate_series(1, 5000) AS n;
INSERT INTO mailworkers.campaign_revisions (campaign_id, revision, template, data)
SELECT id, 2, template, data FROM mailworkers.campaign_sends;
INSERT INTO mailworkers.progress_tracking (kind, subject_id, part, done, sent)
SELECT 'campaign', n, part, 100, 100 FROM generate_series(1, 5000) AS n, generate_series(0, 3) AS part;
INSERT INTO mailworkers.campaign_send_leads (campaign_id, lead_id, job_id)
SELECT n, lead, lead FROM generate_series(1, 5) AS n, generate_series(1, 50000) AS lead;
INSERT INTO mailworkers.email_jobs (campaign_id, lead_id, workspace_id, priority, to_email, template, data)
SELECT n % 2 + 3, n, 'workspace-' || n % 2 + 3, 10, 'reader' || n || '@example.org', 'letter@1+' || n % 2 + 3 || '.1', '{}'
FROM generate_series(1, 100) AS n;
"""

# Domains whose groups were learned within three months.
_DOMAINS = """
INSERT INTO mailworkers.destination_domains (domain, destination_group, found, checked_at)
SELECT 'firm' || n || '.example', CASE WHEN n % 3 = 0 THEN 'google' ELSE '' END, 'mx', now() - n % 90 * interval '1 day'
FROM generate_series(1, 50000) AS n;
"""

# Five senders are being warmed up, one of them paused, and a thousand have been; each has days of its own.
_WARM_UPS = """
INSERT INTO mailworkers.warmups (sender, schedule, time_zone, started_on, status)
SELECT 'sender' || n || '.example', 'braze-moderate', 'UTC', (now() AT TIME ZONE 'UTC')::date - 5,
    CASE WHEN n = 2 THEN 'paused' WHEN n <= 5 THEN 'running' ELSE 'finished' END
FROM generate_series(1, 1000) AS n;
INSERT INTO mailworkers.warmup_days (warmup_id, on_date, destination_group, day, quota)
SELECT warmup, (now() AT TIME ZONE 'UTC')::date - 25 + day, '*', day, 1000
FROM generate_series(1, 1000) AS warmup, generate_series(1, 25) AS day;
"""


async def fill(owner: Any) -> None:
    """Everything but the jobs for later; no statistics."""
    await owner.execute(_WITHOUT_CHECKS)
    await owner.execute("".join(_WITHOUT_AUTOVACUUM.format(table=table) for table in _QUEUE_TABLES))
    for statements in (_SENDING, _MIXED, _HISTORY, _LEADS, _CAMPAIGNS, _DOMAINS, _WARM_UPS):
        await owner.execute(statements)


async def add_jobs_for_later(owner: Any) -> None:
    """1,000,000 jobs of the best priority in every lane, due tomorrow."""
    await owner.execute(_LATER, LATER)
