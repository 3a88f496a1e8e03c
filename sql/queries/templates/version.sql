-- One version of a template. Primary key of templates. $1 workspace, $2 name, $3 version.
SELECT version, missing, subject, text_body, html_body
FROM mailworkers.templates
WHERE workspace_id = $1 AND name = $2 AND version = $3
