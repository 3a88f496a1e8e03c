-- As queue/heads, for where that has become slow: dead index entries, which vacuum may not remove yet, lie where claims have
-- been. Of fronts that are known, only what comes from their bounds on is looked at; of others, all.
-- Index email_jobs_ready: one descent for each known front, one between each two of them, and one more for each that is found
-- there. $1: at most so many, $2…$5: of those after this one; $6…$9 known fronts in order, $10 $11 their bounds.
WITH RECURSIVE heads AS (
    SELECT $2::text COLLATE "C" AS workspace_id, $3::text COLLATE "C" AS destination_group, $4::smallint AS priority,
        $5::bigint AS campaign, NULL::timestamptz AS scheduled_at, NULL::bigint AS id, 1 AS upcoming
    UNION ALL
    SELECT next.*
    FROM heads CROSS JOIN LATERAL (
        (SELECT workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id,
             heads.upcoming
         FROM mailworkers.email_jobs
         WHERE status IN ('waiting', 'retrying')
           AND (workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END)
               > (heads.workspace_id, heads.destination_group, heads.priority, heads.campaign)
           AND (workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END)
               < (($6::text[])[heads.upcoming] COLLATE "C", ($7::text[])[heads.upcoming] COLLATE "C",
                  ($8::smallint[])[heads.upcoming], ($9::bigint[])[heads.upcoming])
         ORDER BY workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id
         LIMIT 1)
        UNION ALL
        (SELECT workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id,
             heads.upcoming
         FROM mailworkers.email_jobs
         WHERE heads.upcoming > cardinality($6::text[]) AND status IN ('waiting', 'retrying')
           AND (workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END)
               > (heads.workspace_id, heads.destination_group, heads.priority, heads.campaign)
         ORDER BY workspace_id, destination_group, priority, CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END, scheduled_at, id
         LIMIT 1)
        UNION ALL
        SELECT ($6::text[])[heads.upcoming] COLLATE "C", ($7::text[])[heads.upcoming] COLLATE "C",
            ($8::smallint[])[heads.upcoming], ($9::bigint[])[heads.upcoming], first.scheduled_at, first.id, heads.upcoming + 1
        FROM (SELECT) AS known
        LEFT JOIN LATERAL (
            SELECT scheduled_at, id
            FROM mailworkers.email_jobs
            WHERE status IN ('waiting', 'retrying')
              AND workspace_id = ($6::text[])[heads.upcoming] COLLATE "C"
              AND destination_group = ($7::text[])[heads.upcoming] COLLATE "C"
              AND priority = ($8::smallint[])[heads.upcoming]
              AND CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END = ($9::bigint[])[heads.upcoming]
              AND (scheduled_at, id) >= (($10::timestamptz[])[heads.upcoming], ($11::bigint[])[heads.upcoming])
            ORDER BY scheduled_at, id
            LIMIT 1
        ) AS first ON true
        WHERE heads.upcoming <= cardinality($6::text[])
        LIMIT 1
    ) AS next
)
SELECT workspace_id, destination_group, priority, campaign, scheduled_at, id,
       extract(epoch FROM scheduled_at - now())::float8 AS due_in
FROM heads
WHERE id IS NOT NULL
LIMIT $1
