-- One campaign as it was made. Primary key. $1 campaign.
SELECT id, workspace_id, name, status, template, revision, data, from_email, from_name, reply_to, headers, list, segment, filter,
    priority, max_retries, start_at, created_at, why
FROM mailworkers.campaign_sends
WHERE id = $1::bigint
