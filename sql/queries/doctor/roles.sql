-- Which of the three roles are missing on this server. Catalogs only.
SELECT role
FROM unnest(ARRAY['mailworkers_app', 'mailworkers_worker', 'mailworkers_readonly']) AS wanted(role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role)
