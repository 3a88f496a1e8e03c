-- Attachments by reference live as long as the history; $1 months, $2 at most so many at once. Index email_blobs_age.
DELETE FROM mailworkers.email_blobs
WHERE id = ANY (ARRAY(
    SELECT id FROM mailworkers.email_blobs
    WHERE created_at < date_trunc('month', now()) - $1::integer * interval '1 month'
    ORDER BY created_at
    LIMIT $2::integer
))
