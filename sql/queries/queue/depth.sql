-- Live jobs by state, counted up to $1 in each state; where there are more, what vacuum and analyze last saw.
-- Partial indexes email_jobs_ready, email_jobs_retrying, email_jobs_sending, email_jobs_paused, bounded by LIMIT.
SELECT
    (SELECT count(*) FROM (SELECT FROM mailworkers.email_jobs WHERE status IN ('waiting', 'retrying') LIMIT $1) AS a) AS ready,
    (SELECT count(*) FROM (SELECT FROM mailworkers.email_jobs WHERE status = 'retrying' LIMIT $1) AS b) AS retrying,
    (SELECT count(*) FROM (SELECT FROM mailworkers.email_jobs WHERE status = 'sending' LIMIT $1) AS c) AS sending,
    (SELECT count(*) FROM (SELECT FROM mailworkers.email_jobs WHERE status = 'paused' LIMIT $1) AS d) AS paused,
    (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'mailworkers.email_jobs_ready'::regclass) AS ready_estimate
