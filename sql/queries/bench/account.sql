-- What the record says at the end: mails by how they ended, what is left, and how long each was on its way.
-- A scan of the bench's own schema, which holds nothing but the bench's own mails. $1 when they were committed.
SELECT
    count(*) FILTER (WHERE status = 'sent') AS sent,
    count(*) FILTER (WHERE status <> 'sent') AS not_sent,
    (SELECT count(*) FROM mailworkers.email_jobs) AS left_over,
    (SELECT reply FROM mailworkers.email_sends WHERE status <> 'sent' LIMIT 1) AS why_not,
    percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - $1::timestamptz))::float8[]
        AS insert_to_sent
FROM mailworkers.email_sends
