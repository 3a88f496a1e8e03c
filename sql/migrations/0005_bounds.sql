-- Bounds on what could go on for ever, or cost without measure.

-- A relay that asks for less spends no attempt, however often: only this tells how long that has lasted.
ALTER TABLE mailworkers.email_jobs ADD COLUMN put_off_since timestamptz;
COMMENT ON COLUMN mailworkers.email_jobs.put_off_since IS
    'Since when the relay has been putting this mail off without an attempt being spent: the first time after the last one that was.';

-- Each of a mail's files costs the same checks, however small. Hundreds of thousands of empty ones would keep whoever claims,
-- composes or releases the row from everything else.
-- At INSERT only: a row from before that has more must still be sent and released, and a live table need not be read for it.
CREATE FUNCTION mailworkers.refuse_many_files() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE check_violation USING
        MESSAGE = 'attachments are limited to 100 files',
        HINT = 'Put many files into one archive, or on the web, and send a link.',
        CONSTRAINT = 'attachments are limited to 100 files',
        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.refuse_many_files() FROM PUBLIC;
CREATE TRIGGER refuse_many_files BEFORE INSERT ON mailworkers.email_jobs
    FOR EACH ROW WHEN (CASE WHEN jsonb_typeof(NEW.attachments) = 'array' THEN jsonb_array_length(NEW.attachments) > 100 ELSE false END)
    EXECUTE FUNCTION mailworkers.refuse_many_files();
