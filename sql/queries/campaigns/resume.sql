-- $1 campaign. Primary key; where it was edited, index email_jobs_ready for what stands in its fronts.
SELECT mailworkers.resume_campaign($1::bigint)
