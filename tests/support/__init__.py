"""Tools that more than one test needs."""
