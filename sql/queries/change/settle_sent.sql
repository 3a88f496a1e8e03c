-- A person says that a mail whose end was unknown did arrive: it counts as sent, and is not kept whole any more.
-- Primary key of each month's partition. The state is the fence: of two persons one wins. $1 id, $2 who says so and when.
UPDATE mailworkers.email_sends
SET status = 'sent', reply = concat_ws('; before: ', $2::text, reply), content = NULL
WHERE job_id = $1::bigint AND status = 'unknown'
RETURNING job_id
