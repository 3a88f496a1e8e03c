-- $1 campaign, $2 what changes, as a JSON object. Primary key; index email_jobs_ready for what stands in its fronts.
SELECT mailworkers.edit_campaign($1::bigint, $2::jsonb)
