-- End a campaign whose last mail has ended; whether it has. Primary keys. $1 campaign.
SELECT mailworkers.finish_campaign($1::bigint)
