"""Campaigns: one mail for each lead of a list, a segment or a filter.

    life          what somebody asks of a campaign: create, start, pause, resume, cancel, edit
    progress      how far campaigns are
    making        what daemons do for them: jobs made ahead of the senders, starts, cancellations, ends

The rules are in the database (`sql/migrations/0010_campaigns.sql`), so that they are the same for every application.
"""
