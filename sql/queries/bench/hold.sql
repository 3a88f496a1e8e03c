-- Hold a schema of the bench for this session; false where another bench does. No table. $1 its name.
SELECT pg_try_advisory_lock(hashtextextended($1::text, 2))
