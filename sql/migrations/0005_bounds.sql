-- Bounds on what could go on for ever, or cost without measure.

-- A relay that asks for less spends no attempt, however often: only this tells how long that has lasted.
ALTER TABLE mailworkers.email_jobs ADD COLUMN put_off_since timestamptz;
COMMENT ON COLUMN mailworkers.email_jobs.put_off_since IS
    'Since when the relay has been putting this mail off without an attempt being spent: the first time after the last one that was.';

-- Each of a mail's files costs the same checks, however small. Hundreds of thousands of empty ones would keep whoever claims,
-- composes or releases the row from everything else.
ALTER TABLE mailworkers.email_jobs ADD CONSTRAINT "attachments are limited to 100 files"
    CHECK (lease IS NOT NULL OR CASE WHEN jsonb_typeof(attachments) = 'array' THEN jsonb_array_length(attachments) <= 100 ELSE true END);
