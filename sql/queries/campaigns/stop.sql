-- A campaign that cannot go on by itself: a person must act. Primary key. $1 campaign, $2 why.
UPDATE mailworkers.campaign_sends SET status = 'stopped', paused_at = now(), why = $2::text
WHERE id = $1::bigint AND status = 'running'
