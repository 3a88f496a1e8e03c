-- Live work: what an application inserts, and what wakes the daemons.
-- The word `mailworkers` as a schema is replaced where the setting SCHEMA names another.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['mailworkers_app', 'mailworkers_worker', 'mailworkers_readonly'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL;  -- roles belong to the whole server: another database's migration was faster
            END;
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA mailworkers TO mailworkers_app, mailworkers_worker, mailworkers_readonly;

-- ---------------------------------------------------------------- what a row may hold

-- In PL/pgSQL, not SQL: PostgreSQL would inline SQL functions into the constraints and prepare all of that again for every
-- INSERT, which costs a single insert several times what it costs by itself. Strict: what is not given is not looked at.

CREATE FUNCTION mailworkers.is_one_line(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN value !~ '[\u0001-\u001f\u007f-\u009f\u2028\u2029]';
END
$$;
COMMENT ON FUNCTION mailworkers.is_one_line(text) IS
    'No CR, LF or other control character: nothing that could begin another header.';

CREATE FUNCTION mailworkers.is_local_part(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN octet_length(value) BETWEEN 1 AND 64
       AND value !~ '[][\u0001-\u0020\u007f-\u00a0()<>,;:\\"@\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]'
       AND value !~ '^\.|\.\.|\.$';
END
$$;
COMMENT ON FUNCTION mailworkers.is_local_part(text) IS
    'A dot-atom (RFC 5322 3.2.3, with RFC 6531''s letters but none that is invisible) of at most 64 octets (RFC 5321 4.5.3.1.1).';

CREATE FUNCTION mailworkers.is_mail_domain(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN octet_length(value) <= 253
       AND value !~ '[\u0001-\u002c\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]'
       AND value !~ '(^|\.)([-.]|$)|-(\.|$)'
       AND (length(value) <= 63 OR value !~ '[^.]{64}');
END
$$;
COMMENT ON FUNCTION mailworkers.is_mail_domain(text) IS
    'Labels of 1 to 63 letters, digits and hyphens, none at a label''s ends (RFC 1035 2.3.4); IDN labels as written.';

-- Of an address with one @ and nothing worse. What is worse has a constraint, and thus a sentence, of its own.
CREATE FUNCTION mailworkers.is_splittable(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN value ~ '^[^@]+@[^@]+$' AND value !~ '[\u0001-\u0020\u007f-\u00a0\u2028\u2029]';
END
$$;

CREATE FUNCTION mailworkers.has_local_part(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN mailworkers.is_local_part(split_part(value, '@', 1)) OR NOT mailworkers.is_splittable(value);
END
$$;

CREATE FUNCTION mailworkers.has_mail_domain(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN mailworkers.is_mail_domain(split_part(value, '@', 2)) OR NOT mailworkers.is_splittable(value);
END
$$;

CREATE FUNCTION mailworkers.is_address(value text) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN value ~ '^[^@]+@[^@]+$'
       AND mailworkers.is_local_part(split_part(value, '@', 1))
       AND mailworkers.is_mail_domain(split_part(value, '@', 2));
END
$$;

CREATE FUNCTION mailworkers.are_addresses(listed text[]) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN cardinality(listed) <= 100 AND coalesce(array_ndims(listed), 1) = 1
       AND NOT EXISTS (SELECT FROM unnest(listed) AS one WHERE one IS NULL OR NOT mailworkers.is_address(one));
END
$$;

CREATE FUNCTION mailworkers.are_headers(headers jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_typeof(headers) = 'object' AND NOT EXISTS (
        SELECT FROM jsonb_each(CASE WHEN jsonb_typeof(headers) = 'object' THEN headers ELSE '{}' END) AS h(name, value)
            WHERE h.name !~* '^(x-[a-z0-9-]+|list-[a-z0-9-]+|in-reply-to|references|auto-submitted|precedence|feedback-id|importance|priority|organization|keywords|comments)$'
               OR length(h.name) > 60
               OR jsonb_typeof(h.value) <> 'string'
               OR length(h.value #>> '{}') > 10000
               OR NOT mailworkers.is_one_line(h.value #>> '{}')
        );
END
$$;
COMMENT ON FUNCTION mailworkers.are_headers(jsonb) IS
    'Names from the allow-list only (mailworkers/mail/headers), each value one line of text.';

CREATE FUNCTION mailworkers.are_attachments(attachments jsonb) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN jsonb_typeof(attachments) = 'array' AND NOT EXISTS (
        SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(attachments) = 'array' THEN attachments ELSE '[]' END) AS a
            WHERE jsonb_typeof(a) <> 'object'
               OR a - ARRAY['filename', 'content_type', 'content', 'blob_id', 'content_id'] <> '{}'
               OR (a ? 'content') = (a ? 'blob_id')
               OR (a ? 'content' AND jsonb_typeof(a -> 'content') <> 'string')
               OR a ->> 'content' !~ '^[A-Za-z0-9+/\s]*=?\s*=?\s*$'
               OR (a ? 'blob_id' AND (jsonb_typeof(a -> 'blob_id') <> 'number' OR a ->> 'blob_id' !~ '^[0-9]{1,18}$'))
               OR jsonb_typeof(coalesce(a -> 'filename', '""')) <> 'string'
               OR jsonb_typeof(coalesce(a -> 'content_type', '""')) <> 'string'
               OR jsonb_typeof(coalesce(a -> 'content_id', '""')) <> 'string'
               OR NOT mailworkers.is_one_line(concat(a ->> 'filename', a ->> 'content_type', a ->> 'content_id'))
        );
END
$$;
COMMENT ON FUNCTION mailworkers.are_attachments(jsonb) IS
    'Each with its content (base64) or the blob_id of a row in email_blobs; never a URL or a path.';

-- ---------------------------------------------------------------- live work

CREATE TABLE mailworkers.email_jobs (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign_id     bigint,
    lease           bigint,
    daemon_id       bigint,
    scheduled_at    timestamptz NOT NULL DEFAULT now(),
    created_at      timestamptz NOT NULL DEFAULT now(),
    deadline        timestamptz,
    marked_at       timestamptz,
    message_token   uuid NOT NULL DEFAULT gen_random_uuid(),
    priority        smallint NOT NULL DEFAULT 0,
    max_retries     smallint NOT NULL DEFAULT 3,
    attempts        smallint NOT NULL DEFAULT 0,
    rescues         smallint NOT NULL DEFAULT 0,
    status          text NOT NULL DEFAULT 'waiting',
    workspace_id    text COLLATE "C" NOT NULL DEFAULT 'default',
    destination_group text COLLATE "C" NOT NULL DEFAULT '',
    job_type        text NOT NULL DEFAULT 'send-email',
    delivery        text NOT NULL DEFAULT 'at_least_once',
    idempotency_key text,
    to_email        text,
    to_name         text,
    from_email      text,
    from_name       text,
    reply_to        text,
    cc              text[],
    bcc             text[],
    subject         text,
    text_body       text,
    html_body       text,
    template        text,
    data            jsonb,
    headers         jsonb,
    attachments     jsonb,
    payload         jsonb,
    last_reply      text,

    CONSTRAINT "status must be waiting, sending, retrying or paused"
        CHECK (status IN ('waiting', 'sending', 'retrying', 'paused')),
    CONSTRAINT "a job that is being sent has a lease, a daemon and a deadline"
        CHECK ((status = 'sending') = (lease IS NOT NULL)
       AND (status = 'sending') = (daemon_id IS NOT NULL)
       AND (status = 'sending') = (deadline IS NOT NULL)),

    -- What an application sets is checked when it comes. PostgreSQL checks it all again whenever the row is updated: with a
    -- lease, which no application can set, that is spared, and a claim costs a third.
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (lease IS NOT NULL OR (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id))),
    CONSTRAINT "job_type must be lower case words joined by hyphens"
        CHECK (lease IS NOT NULL OR (job_type ~ '^[a-z][a-z0-9]*(-[a-z0-9]+)*$' AND length(job_type) <= 60)),
    CONSTRAINT "priority must be between -100 (first) and 100 (last)"
        CHECK (lease IS NOT NULL OR (priority BETWEEN -100 AND 100)),
    CONSTRAINT "max_retries must be between 0 and 100"
        CHECK (lease IS NOT NULL OR (max_retries BETWEEN 0 AND 100)),
    CONSTRAINT "scheduled_at must be a real moment, not infinity"
        CHECK (lease IS NOT NULL OR (isfinite(scheduled_at))),
    CONSTRAINT "delivery must be 'at_least_once' or 'at_most_once'"
        CHECK (lease IS NOT NULL OR (delivery IN ('at_least_once', 'at_most_once'))),
    CONSTRAINT "idempotency_key must have 1 to 255 characters"
        CHECK (lease IS NOT NULL OR (length(idempotency_key) BETWEEN 1 AND 255)),

    CONSTRAINT "a mail needs to_email"
        CHECK (lease IS NOT NULL OR (job_type <> 'send-email' OR to_email <> ''  IS TRUE)),
    CONSTRAINT "to_email must not contain blanks or control characters"
        CHECK (lease IS NOT NULL OR (to_email !~ '[\u0001-\u0020\u007f-\u00a0\u2028\u2029]')),
    CONSTRAINT "to_email must have one @, as in ann@example.org"
        CHECK (lease IS NOT NULL OR (to_email ~ '^[^@]+@[^@]+$' OR to_email = '' OR to_email ~ '[\u0001-\u0020\u007f-\u00a0\u2028\u2029]')),
    CONSTRAINT "to_email must be plain before its @, in at most 64 octets"
        CHECK (lease IS NOT NULL OR mailworkers.has_local_part(to_email)),
    CONSTRAINT "to_email must have a valid domain after its @"
        CHECK (lease IS NOT NULL OR mailworkers.has_mail_domain(to_email)),
    CONSTRAINT "from_email must be one address, as in ann@example.org"
        CHECK (lease IS NOT NULL OR mailworkers.is_address(from_email)),
    CONSTRAINT "reply_to must be one address, as in ann@example.org"
        CHECK (lease IS NOT NULL OR mailworkers.is_address(reply_to)),
    CONSTRAINT "cc must list at most 100 addresses, as in ann@example.org"
        CHECK (lease IS NOT NULL OR mailworkers.are_addresses(cc)),
    CONSTRAINT "bcc must list at most 100 addresses, as in ann@example.org"
        CHECK (lease IS NOT NULL OR mailworkers.are_addresses(bcc)),

    CONSTRAINT "subject must be one line: no CR, LF or control characters"
        CHECK (lease IS NOT NULL OR mailworkers.is_one_line(subject)),
    CONSTRAINT "to_name must be one line: no CR, LF or control characters"
        CHECK (lease IS NOT NULL OR mailworkers.is_one_line(to_name)),
    CONSTRAINT "from_name must be one line: no CR, LF or control characters"
        CHECK (lease IS NOT NULL OR mailworkers.is_one_line(from_name)),
    CONSTRAINT "subject and names must have at most 1000 characters each"
        CHECK (lease IS NOT NULL OR (coalesce(length(subject), 0) <= 1000 AND coalesce(length(to_name), 0) <= 1000
       AND coalesce(length(from_name), 0) <= 1000)),
    CONSTRAINT "a mail needs text_body, html_body or a template"
        CHECK (lease IS NOT NULL OR (job_type <> 'send-email' OR text_body IS NOT NULL OR html_body IS NOT NULL OR template IS NOT NULL)),
    CONSTRAINT "a mail has bodies of its own or a template, not both"
        CHECK (lease IS NOT NULL OR (template IS NULL OR (text_body IS NULL AND html_body IS NULL))),
    CONSTRAINT "text_body, html_body and attachments are limited to 40 MB"
        CHECK (lease IS NOT NULL OR (coalesce(octet_length(text_body), 0) + coalesce(octet_length(html_body), 0)
             + CASE WHEN attachments IS NULL THEN 0 ELSE octet_length(attachments::text) END <= 40 * 1024 * 1024)),
    CONSTRAINT "template must be one line of 1 to 200 characters"
        CHECK (lease IS NOT NULL OR (length(template) BETWEEN 1 AND 200 AND mailworkers.is_one_line(template))),
    CONSTRAINT "data, headers and payload are limited to 1 MB each"
        CHECK (lease IS NOT NULL OR (data IS NULL AND headers IS NULL AND payload IS NULL)
            OR (coalesce(octet_length(data::text), 0) <= 1024 * 1024 AND coalesce(octet_length(headers::text), 0) <= 1024 * 1024
            AND coalesce(octet_length(payload::text), 0) <= 1024 * 1024)),
    CONSTRAINT "data must be a JSON object"
        CHECK (lease IS NOT NULL OR (jsonb_typeof(data) = 'object')),
    CONSTRAINT "headers: names X-…, List-… and few others, one line each"
        CHECK (lease IS NOT NULL OR mailworkers.are_headers(headers)),
    CONSTRAINT "attachments: a list of {filename, content or blob_id}"
        CHECK (lease IS NOT NULL OR mailworkers.are_attachments(attachments))
) WITH (
    -- Every job is updated once and deleted once: room for the new version beside the old, and vacuum at once,
    -- since dead entries at the head of the ready index are what slows a claim.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_insert_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.02,
    autovacuum_vacuum_cost_delay = 0,
    toast.autovacuum_vacuum_scale_factor = 0.02,
    toast.autovacuum_vacuum_cost_delay = 0
);

-- What may be claimed, lane by lane: a lane is (workspace_id, destination_group). Jobs for later stand behind those that
-- are due within each priority, so that any number of them costs a claim one look.
CREATE INDEX email_jobs_ready ON mailworkers.email_jobs
    (workspace_id, destination_group, priority, scheduled_at, id) WHERE status IN ('waiting', 'retrying');
-- What is being sent, by whom: for rescue, deadlines and release.
CREATE INDEX email_jobs_sending ON mailworkers.email_jobs (daemon_id, deadline) WHERE status = 'sending';
CREATE INDEX email_jobs_retrying ON mailworkers.email_jobs (id) WHERE status = 'retrying';
CREATE INDEX email_jobs_paused ON mailworkers.email_jobs (id) WHERE status = 'paused';

DO $$
BEGIN
    ALTER TABLE mailworkers.email_jobs ALTER COLUMN text_body SET COMPRESSION lz4, ALTER COLUMN html_body SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN
    NULL;  -- a server built without lz4 keeps pglz: slower, not wrong
END
$$;

CREATE SEQUENCE mailworkers.lease_numbers AS bigint;
COMMENT ON SEQUENCE mailworkers.lease_numbers IS 'Each claim statement takes one: the fence that every ack must match.';

CREATE TABLE mailworkers.email_blobs (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at   timestamptz NOT NULL DEFAULT now(),
    workspace_id text COLLATE "C" NOT NULL DEFAULT 'default',
    filename     text NOT NULL,
    content_type text NOT NULL DEFAULT 'application/octet-stream',
    content      bytea NOT NULL,
    CONSTRAINT "filename and content_type must be one line each"
        CHECK (mailworkers.is_one_line(filename) AND mailworkers.is_one_line(content_type)),
    CONSTRAINT "content is limited to 25 MB" CHECK (octet_length(content) <= 25 * 1024 * 1024)
);
CREATE INDEX email_blobs_age ON mailworkers.email_blobs (created_at);

-- ---------------------------------------------------------------- idempotency, against live work and history

CREATE TABLE mailworkers.email_idempotency_keys (
    workspace_id    text COLLATE "C" NOT NULL,
    idempotency_key text COLLATE "C" NOT NULL,
    job_id          bigint NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "idempotency_key was already used in this workspace" PRIMARY KEY (workspace_id, idempotency_key)
);
CREATE INDEX email_idempotency_keys_age ON mailworkers.email_idempotency_keys (created_at);

CREATE FUNCTION mailworkers.take_idempotency_key() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO mailworkers.email_idempotency_keys AS used (workspace_id, idempotency_key, job_id)
    VALUES (NEW.workspace_id, NEW.idempotency_key, NEW.id)
    ON CONFLICT (workspace_id, idempotency_key) DO UPDATE SET job_id = used.job_id
        WHERE used.job_id = excluded.job_id;  -- the same job, coming back from the history
    IF NOT FOUND THEN
        RAISE unique_violation USING
            MESSAGE = format('idempotency_key %L was already used in workspace %L', NEW.idempotency_key, NEW.workspace_id),
            HINT = 'This mail is already queued or sent: treat the error as success, or choose a new key.',
            CONSTRAINT = 'idempotency_key was already used in this workspace',
            SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.take_idempotency_key() FROM PUBLIC;

CREATE TRIGGER take_idempotency_key BEFORE INSERT ON mailworkers.email_jobs
    FOR EACH ROW WHEN (NEW.idempotency_key IS NOT NULL) EXECUTE FUNCTION mailworkers.take_idempotency_key();

-- ---------------------------------------------------------------- the wake-up

CREATE FUNCTION mailworkers.wake_daemons() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_jobs', '');
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.wake_daemons() FROM PUBLIC;

-- A daemon with nothing to do holds this lock. Where the shared lock cannot be had, one waits to be woken; else nobody
-- does, and the insert is spared NOTIFY's global lock at commit. Because the shared lock is kept until commit, a daemon that
-- gets the exclusive one knows that no insert is under way which has not notified.
CREATE TRIGGER wake_daemons AFTER INSERT ON mailworkers.email_jobs
    FOR EACH STATEMENT WHEN (NOT pg_try_advisory_xact_lock_shared(hashtextextended('mailworkers.idle', 0)))
    EXECUTE FUNCTION mailworkers.wake_daemons();

-- ---------------------------------------------------------------- what an application may do

GRANT INSERT (workspace_id, campaign_id, job_type, priority, scheduled_at, max_retries, idempotency_key, delivery,
              to_email, to_name, from_email, from_name, reply_to, cc, bcc, subject, text_body, html_body,
              template, data, headers, attachments, payload),
      SELECT (id) ON mailworkers.email_jobs TO mailworkers_app;
GRANT INSERT (workspace_id, filename, content_type, content), SELECT (id) ON mailworkers.email_blobs TO mailworkers_app;
