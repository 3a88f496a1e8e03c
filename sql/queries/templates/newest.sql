-- The newest version of a template; its parts only where it is not the one known already. Primary key of templates, backwards.
-- $1 workspace, $2 name, $3 the version known, or 0.
SELECT version, missing, subject, CASE WHEN version <> $3::integer THEN text_body END AS text_body,
    CASE WHEN version <> $3::integer THEN html_body END AS html_body
FROM mailworkers.templates
WHERE workspace_id = $1 AND name = $2
ORDER BY version DESC
LIMIT 1
