-- The newest version of each template of a workspace, or of all, by name. Primary key of templates: one descent for each name
-- after the last, so that old versions cost nothing. $1 workspace or NULL, $2 how many.
WITH RECURSIVE found(workspace_id, name) AS (
    (SELECT workspace_id, name FROM mailworkers.templates
     WHERE workspace_id >= coalesce($1::text, '')
     ORDER BY workspace_id, name LIMIT 1)
    UNION ALL
    SELECT next.workspace_id, next.name FROM found
    CROSS JOIN LATERAL (
        SELECT t.workspace_id, t.name FROM mailworkers.templates AS t
        WHERE (t.workspace_id, t.name) > (found.workspace_id, found.name)
        ORDER BY t.workspace_id, t.name LIMIT 1
    ) AS next
    WHERE $1::text IS NULL OR next.workspace_id = $1::text COLLATE "C"
)
SELECT found.workspace_id, found.name, newest.version, newest.created_at, newest.missing, newest.subject,
    newest.text_body IS NOT NULL AS has_text, newest.html_body IS NOT NULL AS has_html
FROM found
CROSS JOIN LATERAL (
    SELECT version, created_at, missing, subject, text_body, html_body FROM mailworkers.templates AS t
    WHERE t.workspace_id = found.workspace_id AND t.name = found.name
    ORDER BY t.version DESC LIMIT 1
) AS newest
WHERE $1::text IS NULL OR found.workspace_id = $1::text COLLATE "C"
LIMIT $2
