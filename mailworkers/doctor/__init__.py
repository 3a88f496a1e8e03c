"""Looking for what would keep mail from going out, before it does: database, relay, the sender's DNS records, this host."""
