"""One daemon: who runs when, from the claim to the record, and how it starts, drains and stops."""
