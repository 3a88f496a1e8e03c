-- The first job of every front, due or not: where claims begin, and when the next look is worth it.
-- Index email_jobs_ready, skipped through: one descent for each (workspace_id, destination_group, priority, campaign), however
-- many jobs stand behind it. $1: at most so many, $2…$5: of those after this one.
WITH RECURSIVE heads AS (
    (SELECT workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END AS campaign, scheduled_at, id
     FROM mailworkers.email_jobs
     WHERE status IN ('waiting', 'retrying')
       AND (workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END)
           > ($2::text COLLATE "C", $3::text COLLATE "C", $4::smallint, $5::bigint)
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
SELECT workspace_id, destination_group, priority, campaign, scheduled_at, id,
       extract(epoch FROM scheduled_at - now())::float8 AS due_in
FROM heads
LIMIT $1
