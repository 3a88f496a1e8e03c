"""Tests of mailworkers.transports.smtp."""
