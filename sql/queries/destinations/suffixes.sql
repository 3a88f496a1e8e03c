-- The providers' host names. The whole of destination_mx, some dozens of rows.
SELECT suffix, destination_group FROM mailworkers.destination_mx
