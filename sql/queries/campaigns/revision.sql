-- What the mails of one revision of a campaign are rendered with; only for jobs of its own workspace. Primary keys. $1 campaign,
-- $2 revision, $3 workspace.
SELECT data FROM mailworkers.campaign_revisions
WHERE campaign_id = $1::bigint AND revision = $2::integer
  AND EXISTS (SELECT FROM mailworkers.campaign_sends WHERE id = $1::bigint AND workspace_id = $3::text COLLATE "C")
