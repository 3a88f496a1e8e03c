-- Hold a sender's mails. The unique index on the senders of live warm-ups.
SELECT mailworkers.pause_warm_up($1::text, $2::text) AS id
