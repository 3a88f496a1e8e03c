-- End what nobody has claimed of a campaign that is being cancelled; how many. Index email_jobs_ready, its fronts. $1 campaign, $2 at
-- most so many.
SELECT mailworkers.cancel_campaign_jobs($1::bigint, $2::integer)
