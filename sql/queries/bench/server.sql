-- The server's version and the settings that a figure depends on. Views of the catalogue. $1 names of settings.
SELECT name, setting || CASE WHEN unit IS NULL THEN '' ELSE ' ' || unit END AS value
FROM pg_settings
WHERE name = ANY ($1::text[])
ORDER BY name
