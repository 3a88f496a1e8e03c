-- Since when the oldest due job waits, in seconds; NULL where nothing is due.
-- Index email_jobs_ready, skipped through: one descent for each (workspace_id, destination_group, priority,
-- campaign), at most $1.
WITH RECURSIVE heads AS (
    (SELECT workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END AS campaign, scheduled_at, id
     FROM mailworkers.email_jobs
     WHERE status IN ('waiting', 'retrying')
     ORDER BY workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id
     LIMIT 1)
    UNION ALL
    SELECT next.*
    FROM heads CROSS JOIN LATERAL (
        SELECT workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id
        FROM mailworkers.email_jobs
        WHERE status IN ('waiting', 'retrying')
          AND (workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END)
              > (heads.workspace_id, heads.destination_group, heads.priority, heads.campaign)
        ORDER BY workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id
        LIMIT 1
    ) AS next
)
SELECT extract(epoch FROM now() - min(scheduled_at) FILTER (WHERE scheduled_at <= now()))::float8
FROM (SELECT scheduled_at FROM heads LIMIT $1::integer) AS looked_at
