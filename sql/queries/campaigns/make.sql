-- Jobs for the next leads of a campaign. Primary keys of leads or of a list's members, from the cursor on. $1 campaign, $2 leads to
-- look at, $3 jobs that may live at once.
SELECT looked, made, room, at_end FROM mailworkers.make_campaign_jobs($1::bigint, $2::integer, $3::integer)
