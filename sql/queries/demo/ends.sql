-- How the demo's mails ended. A scan of the whole history, which holds nothing but the demo's own mails.
SELECT status, CASE WHEN status = 'sent' THEN '' ELSE coalesce(reply, '') END AS why, count(*) AS times
FROM mailworkers.email_sends
GROUP BY 1, 2
ORDER BY 3 DESC
