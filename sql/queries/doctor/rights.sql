-- What the daemon's user may not do although it must. Catalogs only. Needs the schema to be there.
SELECT what
FROM (VALUES
    ('SELECT, UPDATE and DELETE on email_jobs',
        has_table_privilege('mailworkers.email_jobs', 'SELECT')
        AND has_table_privilege('mailworkers.email_jobs', 'UPDATE')
        AND has_table_privilege('mailworkers.email_jobs', 'DELETE')),
    ('INSERT on email_sends', has_table_privilege('mailworkers.email_sends', 'INSERT')),
    ('INSERT on email_retry_jobs', has_table_privilege('mailworkers.email_retry_jobs', 'INSERT')),
    ('INSERT and UPDATE on email_daemons',
        has_table_privilege('mailworkers.email_daemons', 'INSERT')
        AND has_table_privilege('mailworkers.email_daemons', 'UPDATE')),
    ('SELECT on templates', has_table_privilege('mailworkers.templates', 'SELECT')),
    ('USAGE on the sequence lease_numbers', has_sequence_privilege('mailworkers.lease_numbers', 'USAGE')),
    ('EXECUTE on make_partitions',
        has_function_privilege('mailworkers.make_partitions(text, integer)', 'EXECUTE'))
) AS must(what, granted)
WHERE NOT granted
