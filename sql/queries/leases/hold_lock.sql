-- The proof of life: a session lock that ends with the connection, whatever ended that. $1 daemon.
SELECT pg_try_advisory_lock(hashtext('mailworkers.daemon'), $1::bigint::integer)
