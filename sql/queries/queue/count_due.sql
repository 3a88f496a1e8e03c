-- How many jobs are due in the given fronts, counted up to $5 in each: enough to decide how many workers to run.
-- Index email_jobs_ready, one bounded range for each front.
SELECT coalesce(sum(due.n), 0)::bigint
FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[]) AS wanted(workspace_id, destination_group, priority, campaign)
CROSS JOIN LATERAL (
    SELECT count(*) AS n
    FROM (
        SELECT
        FROM mailworkers.email_jobs
        WHERE status IN ('waiting', 'retrying')
          AND workspace_id = wanted.workspace_id COLLATE "C"
          AND destination_group = wanted.destination_group COLLATE "C"
          AND priority = wanted.priority
          AND CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END = wanted.campaign
          AND scheduled_at <= now()
        LIMIT $5::integer
    ) AS bounded
) AS due
