-- Forget a campaign that never started; its id, or no row where it did or is none. Primary key of campaign_sends. $1 id.
DELETE FROM mailworkers.campaign_sends
WHERE id = $1::bigint AND started_at IS NULL AND status IN ('draft', 'scheduled', 'cancelled', 'paused', 'stopped')
RETURNING id
