"""Tests of mailworkers.transports."""
