-- Claim due jobs of several lanes under one new lease number, if nobody has ended the daemon's lease.
-- Index email_jobs_ready, one descent for each wanted front from its bound on; then the primary key. Index workspaces_paused and
-- primary key of campaign_sends: a claim that begins after a pause was committed takes nothing of that workspace or campaign.
-- $1…$4 lanes, priorities and campaigns, $5 $6 their bounds, $7 how many of each, $8 daemon, $9 seconds to each job's deadline,
-- $10 octets of content in all: with the row that goes beyond, the claim ends. Sizes are read from the rows' heads, not their
-- contents.
WITH fence AS MATERIALIZED (
    SELECT nextval('mailworkers.lease_numbers') AS lease
    FROM mailworkers.email_daemons
    WHERE id = $8::bigint AND ended_at IS NULL
), wanted AS MATERIALIZED (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::timestamptz[], $6::bigint[], $7::integer[])
        AS wish(workspace_id, destination_group, priority, campaign, from_at, from_id, take)
    WHERE NOT EXISTS (
        SELECT FROM mailworkers.workspaces
        WHERE paused_at IS NOT NULL AND workspaces.workspace_id = wish.workspace_id COLLATE "C"
    ) AND NOT EXISTS (SELECT FROM mailworkers.campaign_sends WHERE id = wish.campaign AND held)
), picked AS MATERIALIZED (
    SELECT job.id, sum(job.octets) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS octets_before
    FROM fence
    CROSS JOIN wanted
    CROSS JOIN LATERAL (
        SELECT id, coalesce(octet_length(text_body), 0) + coalesce(octet_length(html_body), 0)
            + coalesce(pg_column_size(attachments), 0) + coalesce(pg_column_size(headers), 0)
            + coalesce(pg_column_size(data), 0) + coalesce(pg_column_size(payload), 0)::bigint AS octets
        FROM mailworkers.email_jobs
        WHERE status IN ('waiting', 'retrying')
          AND workspace_id = wanted.workspace_id COLLATE "C"
          AND destination_group = wanted.destination_group COLLATE "C"
          AND priority = wanted.priority
          AND CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END = wanted.campaign
          AND scheduled_at <= now()
          AND (scheduled_at, id) >= (wanted.from_at, wanted.from_id)
        ORDER BY scheduled_at, id
        LIMIT wanted.take
        FOR UPDATE SKIP LOCKED
    ) AS job
)
UPDATE mailworkers.email_jobs
SET status = 'sending',
    lease = (SELECT lease FROM fence),
    daemon_id = $8::bigint,
    deadline = now() + $9::float8 * interval '1 second'
WHERE id = ANY (ARRAY(SELECT id FROM picked WHERE coalesce(octets_before, 0) < $10::bigint))
RETURNING id, lease, workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END AS campaign,
    campaign_id, scheduled_at, created_at, attempts, max_retries, job_type, delivery, message_token, to_email, to_name, from_email,
    from_name, reply_to, cc, bcc, subject, text_body, html_body, template, data, headers, attachments, payload,
    extract(epoch FROM now() - greatest(scheduled_at, created_at))::float8 AS waited,
    extract(epoch FROM now() - put_off_since)::float8 AS put_off
