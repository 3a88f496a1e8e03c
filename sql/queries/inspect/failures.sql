-- What went wrong within the hour, the most frequent first; counted in the latest $1 failures. Texts that differ only in
-- addresses, numbers and words with a digit, such as a queue's, count as one kind.
-- Index email_retry_jobs_recent of the last partitions, backwards.
SELECT class, code, enhanced_code, count(*) AS times, max(created_at) AS last_at, min(text) AS example
FROM (
    SELECT class, code, enhanced_code, text, created_at
    FROM mailworkers.email_retry_jobs
    WHERE created_at > now() - interval '1 hour'
    ORDER BY created_at DESC
    LIMIT $1::integer
) AS latest
GROUP BY class, code, enhanced_code, regexp_replace(left(text, 120), '\S*[0-9@]\S*', '#', 'g')
ORDER BY times DESC, last_at DESC
LIMIT 10
