-- What a server is and how it is set. Catalogs only.
SELECT
    current_setting('server_version_num')::integer AS version,
    current_setting('server_version') AS version_text,
    pg_is_in_recovery() AS standby,
    extract(epoch FROM clock_timestamp())::float8 AS now,
    pg_backend_pid() AS pid,
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer AS most_connections,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::integer AS connections,
    current_setting('autovacuum') = 'on' AND current_setting('track_counts') = 'on' AS autovacuum,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS safe_on_power_loss,
    current_setting('synchronous_commit') AS synchronous_commit,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    current_user AS username
