-- The database's clock, between two statements. No table.
SELECT clock_timestamp()
