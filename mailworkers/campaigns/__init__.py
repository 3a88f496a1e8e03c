"""Campaigns: one mail for each lead of a list, a segment or a filter.

    life          what somebody asks of a campaign: create, start, pause, resume, cancel, edit
    finding       a campaign by its number or name
    words         conditions as a person writes them, as a filter
    moments       moments as a person writes them
    segments      filters with a name
    audience      whom a campaign goes to
    composing     a lead's mail, made as a daemon makes it
    checking      all of them, sent to nobody: who would get none, and why
    previewing    one of them, as a file
    watching      following a campaign until it ends
    listening     hearing that one went on
    failures      leads whose mail was not sent
    progress      how far campaigns are
    making        what daemons do for them: jobs made ahead of the senders, starts, cancellations, ends

The rules are in the database (`sql/migrations/0013_campaign_life.sql`, `0015_campaign_work.sql`, `0016_leads_that_leave.sql` and
`0017_what_came_of_it.sql`), so that they are the same for every application.
"""
