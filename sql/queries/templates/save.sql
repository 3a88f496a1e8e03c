-- The next version of a template; its number. Primary key of templates. $1 workspace, $2 name, $3 subject, $4 text, $5 HTML,
-- $6 what becomes of missing variables.
SELECT mailworkers.save_template($1, $2, $3, $4, $5, $6)
