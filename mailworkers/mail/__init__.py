"""From a row's fields to the bytes that cross the wire. Pure: no I/O, no clock, no randomness."""
