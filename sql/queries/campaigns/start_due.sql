-- Start what is due; how many. Index campaign_sends_scheduled.
SELECT mailworkers.start_due_campaigns()
