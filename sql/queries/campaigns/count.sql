-- Count the next leads that match a campaign; whether their number is known now. Primary keys as campaigns/make. $1 campaign, $2 leads
-- to look at.
SELECT mailworkers.count_campaign_leads($1::bigint, $2::integer)
