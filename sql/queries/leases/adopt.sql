-- After a lost session: what the process still answers for goes on under its new lease, its old leases end: more than one
-- where an earlier try to come back broke off. Locked in the order of ids, as acks do it, so that neither waits for the other.
-- Index email_jobs_sending and primary keys. $1 the new daemon, $2 the old ones, $3 jobs in flight or unwritten.
WITH held AS MATERIALIZED (
    SELECT id FROM mailworkers.email_jobs
    WHERE id = ANY ($3::bigint[]) AND status = 'sending' AND daemon_id = ANY ($2::bigint[])
    ORDER BY id
    FOR UPDATE
), adopted AS (
    UPDATE mailworkers.email_jobs SET daemon_id = $1::bigint
    WHERE id = ANY (ARRAY(SELECT id FROM held))
    RETURNING id
), ended AS (
    UPDATE mailworkers.email_daemons SET ended_at = now(), ended_why = 'its session was lost and made anew'
    WHERE id = ANY ($2::bigint[]) AND ended_at IS NULL
)
SELECT count(*) FROM adopted
