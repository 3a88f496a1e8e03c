-- Stored templates. A version never changes: what was sent can be looked up, and a daemon may keep it for ever.

CREATE TABLE mailworkers.templates (
    workspace_id text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    version      integer NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    missing      text NOT NULL,
    subject      text NOT NULL,
    text_body    text,
    html_body    text,
    PRIMARY KEY (workspace_id, name, version),

    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id)),
    CONSTRAINT "name: 1 to 100 letters, digits, dots, hyphens, underscores"
        CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    CONSTRAINT "version must be at least 1" CHECK (version >= 1),
    CONSTRAINT "missing must be 'error' or 'blank'" CHECK (missing IN ('error', 'blank')),
    CONSTRAINT "subject must be one line of 1 to 1000 characters"
        CHECK (length(subject) BETWEEN 1 AND 1000 AND mailworkers.is_one_line(subject)),
    CONSTRAINT "a template needs text_body or html_body"
        CHECK (text_body IS NOT NULL OR html_body IS NOT NULL),
    CONSTRAINT "text_body and html_body have at most 262144 characters each"
        CHECK (coalesce(length(text_body), 0) <= 262144 AND coalesce(length(html_body), 0) <= 262144)
);
COMMENT ON COLUMN mailworkers.templates.text_body IS 'NULL: the text part is made from the HTML.';
COMMENT ON COLUMN mailworkers.templates.missing IS 'What becomes of a variable that the data does not have.';

CREATE FUNCTION mailworkers.keep_template() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE integrity_constraint_violation USING
        MESSAGE = format('version %s of template %L never changes', OLD.version, OLD.name),
        HINT = 'Save a new version with save_template.';
END
$$;
REVOKE ALL ON FUNCTION mailworkers.keep_template() FROM PUBLIC;

CREATE TRIGGER keep_template BEFORE UPDATE ON mailworkers.templates
    FOR EACH ROW EXECUTE FUNCTION mailworkers.keep_template();

CREATE FUNCTION mailworkers.save_template(
    workspace_id text, name text, subject text, text_body text DEFAULT NULL, html_body text DEFAULT NULL,
    missing text DEFAULT 'error'
) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    newest mailworkers.templates;
BEGIN
    -- One at a time for each name, so that versions follow each other without gaps.
    PERFORM pg_advisory_xact_lock(hashtextextended(jsonb_build_array(save_template.workspace_id, save_template.name)::text, 7));
    SELECT * INTO newest FROM mailworkers.templates AS known
    WHERE known.workspace_id = save_template.workspace_id COLLATE "C" AND known.name = save_template.name COLLATE "C"
    ORDER BY known.version DESC LIMIT 1;

    IF newest.version IS NOT NULL
       AND (newest.subject, newest.text_body, newest.html_body, newest.missing) IS NOT DISTINCT FROM
           (save_template.subject, save_template.text_body, save_template.html_body, save_template.missing) THEN
        RETURN newest.version;
    END IF;
    INSERT INTO mailworkers.templates (workspace_id, name, version, subject, text_body, html_body, missing)
    VALUES (save_template.workspace_id, save_template.name, coalesce(newest.version, 0) + 1, save_template.subject,
            save_template.text_body, save_template.html_body, save_template.missing);
    RETURN coalesce(newest.version, 0) + 1;
END
$$;
COMMENT ON FUNCTION mailworkers.save_template(text, text, text, text, text, text) IS
    'Save the next version of a template and return its number; that of the newest where nothing has changed.';
REVOKE ALL ON FUNCTION mailworkers.save_template(text, text, text, text, text, text) FROM PUBLIC;

-- Nobody but the owner writes the table itself.
GRANT EXECUTE ON FUNCTION mailworkers.save_template(text, text, text, text, text, text) TO mailworkers_app, mailworkers_worker;
GRANT SELECT ON mailworkers.templates TO mailworkers_worker, mailworkers_readonly;
