"""Destination groups: which mailbox provider a mail's domain belongs to, so that its limits hold for all of its domains.

A domain's group is a row of destination_domains, which every insert looks up. Rows are shipped, set by hand, or learned from
MX records in the background where a resolver is given; a mail never waits for that.
"""
