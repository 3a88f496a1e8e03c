"""The only rooms that speak to email_jobs: claim, ack, leases, and what a person may ask or change."""
