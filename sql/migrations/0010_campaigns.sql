-- Campaigns: one mail for each lead of a list, made from the leads ahead of the senders, never all at once; and progress.

-- They would send what is paused or cancelled, and count nothing of it:
-- Daemons of earlier versions must end.

-- What comes next needs the table to itself. Whoever holds it for longer is not waited for: inserts would wait behind this.
SET LOCAL lock_timeout = '5s';
LOCK TABLE mailworkers.email_jobs IN ACCESS EXCLUSIVE MODE;

-- ---------------------------------------------------------------- jobs that are made from leads

-- What a campaign makes comes from leads, which were checked one by one when they came, and from a sender that is checked once
-- with the campaign. Checking it all again for each mail would cost as much as making it. Nobody but the makers can set lead_id.
DO $$
DECLARE
    bound record;
BEGIN
    FOR bound IN
        SELECT conname AS name, pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE conrelid = 'mailworkers.email_jobs'::regclass AND contype = 'c'
          AND pg_get_constraintdef(oid) LIKE '%(lease IS NOT NULL) OR %' AND pg_get_constraintdef(oid) NOT LIKE '%lead_id%'
    LOOP
        -- NOT VALID spares the look at rows that satisfied the narrower bound; every later row is held to it.
        EXECUTE format('ALTER TABLE mailworkers.email_jobs DROP CONSTRAINT %I, ADD CONSTRAINT %I %s NOT VALID', bound.name, bound.name,
            regexp_replace(bound.definition, '\(lease IS NOT NULL\) OR ', '(lease IS NOT NULL) OR (lead_id IS NOT NULL) OR '));
    END LOOP;
END
$$;

-- ---------------------------------------------------------------- tables

CREATE TABLE mailworkers.lead_segments (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    workspace_id text COLLATE "C" NOT NULL DEFAULT 'default',
    name         text COLLATE "C" NOT NULL,
    filter       jsonb NOT NULL,
    CONSTRAINT "this workspace has a segment of this name already" UNIQUE (workspace_id, name),
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id)),
    CONSTRAINT "name must be one line of 1 to 200 characters"
        CHECK (length(name) BETWEEN 1 AND 200 AND mailworkers.is_one_line(name))
);

CREATE TABLE mailworkers.campaign_sends (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list_id        bigint,
    next_lead      bigint NOT NULL DEFAULT 0,
    last_lead      bigint,
    counted_lead   bigint NOT NULL DEFAULT 0,
    counted        bigint NOT NULL DEFAULT 0,
    looked_at      bigint NOT NULL DEFAULT 0,
    made           bigint NOT NULL DEFAULT 0,
    skipped        bigint NOT NULL DEFAULT 0,
    expected       bigint,
    start_at       timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    started_at     timestamptz,
    paused_at      timestamptz,
    finished_at    timestamptz,
    told_at        timestamptz NOT NULL DEFAULT '-infinity',
    paused_seconds float8 NOT NULL DEFAULT 0,
    revision       integer NOT NULL DEFAULT 0,
    job_window     integer,
    priority       smallint NOT NULL DEFAULT 10,
    max_retries    smallint NOT NULL DEFAULT 3,
    held           boolean GENERATED ALWAYS AS (status IN ('draft', 'scheduled', 'paused', 'cancelling', 'stopped')) STORED,
    workspace_id   text COLLATE "C" NOT NULL DEFAULT 'default',
    name           text COLLATE "C" NOT NULL,
    status         text NOT NULL DEFAULT 'draft',
    template       text NOT NULL,
    from_email     text,
    from_name      text,
    reply_to       text,
    list           text,
    segment        text,
    why            text,
    told           text NOT NULL DEFAULT '',
    data           jsonb NOT NULL DEFAULT '{}',
    headers        jsonb,
    filter         jsonb,
    match          jsonpath,
    CONSTRAINT "this workspace has a campaign of this name already" UNIQUE (workspace_id, name),
    CONSTRAINT "status must be one of a campaign's" CHECK (status IN
        ('draft', 'scheduled', 'running', 'paused', 'cancelling', 'cancelled', 'finished', 'stopped')),
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id)),
    CONSTRAINT "name must be one line of 1 to 200 characters"
        CHECK (length(name) BETWEEN 1 AND 200 AND mailworkers.is_one_line(name)),
    CONSTRAINT "from_email must be one address, as in ann@example.org" CHECK (mailworkers.is_address(from_email)),
    CONSTRAINT "reply_to must be one address, as in ann@example.org" CHECK (mailworkers.is_address(reply_to)),
    CONSTRAINT "from_name must be one line of at most 1000 characters"
        CHECK (length(from_name) <= 1000 AND mailworkers.is_one_line(from_name)),
    CONSTRAINT "headers: names X-…, List-… and few others, one line each" CHECK (mailworkers.are_headers(headers)),
    CONSTRAINT "headers are limited to 16 KB" CHECK (octet_length(headers::text) <= 16384),
    CONSTRAINT "data must be a JSON object" CHECK (jsonb_typeof(data) = 'object'),
    CONSTRAINT "data is limited to 1 MB" CHECK (octet_length(data::text) <= 1024 * 1024),
    CONSTRAINT "priority must be between -100 (first) and 100 (last)" CHECK (priority BETWEEN -100 AND 100),
    CONSTRAINT "max_retries must be between 0 and 100" CHECK (max_retries BETWEEN 0 AND 100),
    CONSTRAINT "job_window must be at least 1" CHECK (job_window >= 1),
    CONSTRAINT "start_at must be a real moment, not infinity" CHECK (isfinite(start_at)),
    CONSTRAINT "every lead that was looked at has one outcome" CHECK (looked_at = made + skipped)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
-- What daemons look at several times a second; neither cursor nor counts are in it, so that moving them writes no index.
CREATE INDEX campaign_sends_open ON mailworkers.campaign_sends (workspace_id, id)
    WHERE status IN ('running', 'paused', 'cancelling', 'stopped');
CREATE INDEX campaign_sends_scheduled ON mailworkers.campaign_sends (start_at) WHERE status = 'scheduled';
CREATE INDEX campaign_sends_finished ON mailworkers.campaign_sends (finished_at) WHERE finished_at IS NOT NULL;
COMMENT ON COLUMN mailworkers.campaign_sends.held IS 'Nothing is claimed of its jobs, however many stand there.';
COMMENT ON COLUMN mailworkers.campaign_sends.next_lead IS
    'The cursor: the last lead looked at. It moves in the transaction that makes the jobs.';
COMMENT ON COLUMN mailworkers.campaign_sends.last_lead IS 'The end, frozen at the start: leads that come later are not in it.';
COMMENT ON COLUMN mailworkers.campaign_sends.expected IS 'Leads that match; NULL until they have been counted.';
COMMENT ON COLUMN mailworkers.campaign_sends.skipped IS 'Looked at without a mail being made: not active, removed, or not matching.';
COMMENT ON COLUMN mailworkers.campaign_sends.job_window IS 'Jobs that may be live at once; NULL: as the daemons'' setting says.';
COMMENT ON COLUMN mailworkers.campaign_sends.match IS 'The filter, compiled: what a lead must satisfy.';
COMMENT ON COLUMN mailworkers.campaign_sends.template IS 'Pinned to a version, as in newsletter@3, from the start on.';

CREATE TABLE mailworkers.campaign_revisions (
    campaign_id bigint NOT NULL,
    revision    integer NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    template    text NOT NULL,
    data        jsonb NOT NULL,
    PRIMARY KEY (campaign_id, revision)
);
COMMENT ON TABLE mailworkers.campaign_revisions IS
    'What mails are rendered from: a job''s template newsletter@3+17.2 is version 3 with the variables of campaign 17, revision 2.';

CREATE TABLE mailworkers.email_job_batches (
    campaign_id bigint NOT NULL,
    batch       bigint NOT NULL,
    first_lead  bigint NOT NULL,
    last_lead   bigint NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    made        integer NOT NULL,
    skipped     integer NOT NULL,
    PRIMARY KEY (campaign_id, batch)
);
COMMENT ON TABLE mailworkers.email_job_batches IS 'Each transaction that made jobs: the leads that it looked at, and what came of them.';

CREATE TABLE mailworkers.campaign_send_leads (
    campaign_id bigint NOT NULL,
    lead_id     bigint NOT NULL,
    job_id      bigint NOT NULL,
    CONSTRAINT "one mail for each lead and campaign" PRIMARY KEY (campaign_id, lead_id)
) PARTITION BY RANGE (campaign_id);
CREATE TABLE mailworkers.campaign_send_leads_default PARTITION OF mailworkers.campaign_send_leads DEFAULT;

CREATE TABLE mailworkers.progress_tracking (
    kind       text COLLATE "C" NOT NULL,
    subject_id bigint NOT NULL,
    part       bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now(),
    total      bigint,
    done       bigint NOT NULL DEFAULT 0,
    sent       bigint NOT NULL DEFAULT 0,
    failed     bigint NOT NULL DEFAULT 0,
    abandoned  bigint NOT NULL DEFAULT 0,
    cancelled  bigint NOT NULL DEFAULT 0,
    suppressed bigint NOT NULL DEFAULT 0,
    unknown    bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, subject_id, part),
    CONSTRAINT "kind must be campaign or import" CHECK (kind IN ('campaign', 'import'))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 500);
COMMENT ON COLUMN mailworkers.progress_tracking.part IS
    'Counts of one subject are the sum of its parts. Each daemon''s acks count in the part of its number, so that none waits for '
    'another; 0 is everybody''s, and what is left once a campaign has ended; below 0 stand sessions that changed leads.';

-- ---------------------------------------------------------------- filters, free of SQL

CREATE FUNCTION mailworkers.lead_condition(variable text, operator text, wanted jsonb) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- Name, email and domain are the lead's own; everything else is one of its variables, with dots into objects.
    place constant text := CASE WHEN variable IN ('name', 'email', 'domain') THEN '$' || variable
        ELSE '$' || (SELECT string_agg('.' || to_json(step)::text, '' ORDER BY at)
                     FROM unnest(string_to_array(variable, '.')) WITH ORDINALITY AS steps(step, at)) END;
    kind constant text := jsonb_typeof(wanted);
    plain constant text := wanted #>> '{}';
BEGIN
    CASE
        -- Within a filter a comparison of different types is false, not unknown, so that its negation is true.
        WHEN operator = '=' AND kind IN ('string', 'null') THEN RETURN format('exists(%s ? (@ == %s))', place, wanted);
        -- From a CSV file numbers come as texts: both are compared as numbers where a number is asked for.
        WHEN operator = '=' AND kind = 'number' THEN RETURN format('exists(%s ? (@.double() == %s))', place, wanted);
        WHEN operator = '=' AND kind = 'boolean' THEN
            RETURN format('exists(%s ? (@ == %s || @ == "%s"))', place, wanted, plain);
        WHEN operator = '!=' AND kind = 'array' THEN RETURN mailworkers.lead_condition(variable, 'not in', wanted);
        WHEN operator = '!=' AND kind IN ('string', 'number', 'boolean', 'null') THEN
            RETURN format('!(%s)', mailworkers.lead_condition(variable, '=', wanted));
        WHEN operator = 'in' AND kind = 'array' AND jsonb_array_length(wanted) > 0 THEN
            RETURN (SELECT '(' || string_agg(mailworkers.lead_condition(variable, '=', one), ' || ') || ')' FROM jsonb_array_elements(wanted) AS one);
        WHEN operator = 'not in' AND kind = 'array' THEN
            RETURN format('!(%s)', mailworkers.lead_condition(variable, 'in', wanted));
        WHEN operator IN ('>', '>=', '<', '<=') AND kind = 'number' THEN RETURN format('%s.double() %s %s', place, operator, wanted);
        WHEN operator IN ('>', '>=', '<', '<=') AND kind = 'string' THEN RETURN format('%s %s %s', place, operator, wanted);
        WHEN operator = 'exists' AND kind = 'boolean' THEN
            RETURN CASE WHEN plain = 'true' THEN '' ELSE '!' END
                || format('(exists(%s ? (@ != null)) && !exists(%s ? (@ == "")))', place, place);
        WHEN operator = 'starts' AND kind = 'string' THEN RETURN format('%s starts with %s', place, wanted);
        WHEN operator = 'ends' AND kind = 'string' THEN
            RETURN format('%s like_regex %s', place, to_json(regexp_replace(plain, '([][\\.^$*+?(){}|])', '\\\1', 'g') || '$'));
        WHEN operator = 'contains' AND kind = 'string' THEN RETURN format('%s like_regex %s flag "q"', place, wanted);
        ELSE
            RAISE check_violation USING
                MESSAGE = format('the filter asks %s of %s in a way that is not known: %s', to_json(variable), to_json(operator), left(wanted::text, 100)),
                HINT = 'Known are = != > >= < <= with a text or number, "in" and "not in" with a list, "starts", "ends" and '
                    '"contains" with a text, "exists" with true or false.';
    END CASE;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.lead_condition(text, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mailworkers.compile_lead_filter(filter jsonb) RETURNS jsonpath
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    conditions text[] := '{}';
    asked record;
    one record;
BEGIN
    IF filter IS NULL THEN
        RETURN NULL;
    ELSIF jsonb_typeof(filter) <> 'object' THEN
        RAISE check_violation USING MESSAGE = 'filter must be a JSON object', HINT = 'As in {"city": "Bonn", "age": {">=": 18}}.';
    ELSIF octet_length(filter::text) > 10000 THEN
        RAISE check_violation USING MESSAGE = 'filter is limited to 10 KB', HINT = 'Put the leads on a list instead.';
    END IF;
    FOR asked IN SELECT key, value FROM jsonb_each(filter) LOOP
        IF asked.key = '' THEN
            RAISE check_violation USING MESSAGE = 'the filter asks for a variable without a name', HINT = 'As in {"city": "Bonn"}.';
        END IF;
        CASE jsonb_typeof(asked.value)
            WHEN 'object' THEN
                FOR one IN SELECT key, value FROM jsonb_each(asked.value) LOOP
                    conditions := conditions || mailworkers.lead_condition(asked.key, one.key, one.value);
                END LOOP;
            WHEN 'array' THEN conditions := conditions || mailworkers.lead_condition(asked.key, 'in', asked.value);
            ELSE conditions := conditions || mailworkers.lead_condition(asked.key, '=', asked.value);
        END CASE;
    END LOOP;
    IF cardinality(conditions) = 0 THEN
        RETURN NULL;
    END IF;
    RETURN array_to_string(conditions, ' && ')::jsonpath;
END
$$;
COMMENT ON FUNCTION mailworkers.compile_lead_filter(jsonb) IS
    'A filter as the jsonpath that a lead''s data must satisfy, with $name, $email and $domain; NULL where every lead does.';
REVOKE ALL ON FUNCTION mailworkers.compile_lead_filter(jsonb) FROM PUBLIC;

-- STABLE, as jsonb_build_object is: else PostgreSQL would not put it into the statements that use it, and call it for each lead.
CREATE FUNCTION mailworkers.lead_matches(match jsonpath, email text, name text, data jsonb) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN match IS NULL THEN true ELSE coalesce(jsonb_path_match(data, match,
        jsonb_build_object('name', coalesce(name, ''), 'email', email, 'domain', split_part(email, '@', 2)), true), false) END
$$;
REVOKE ALL ON FUNCTION mailworkers.lead_matches(jsonpath, text, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mailworkers.save_segment(workspace_id text, name text, filter jsonb) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    saved bigint;
BEGIN
    IF mailworkers.compile_lead_filter(save_segment.filter) IS NULL THEN
        RAISE check_violation USING MESSAGE = 'a segment needs a filter', HINT = 'As in {"city": "Bonn"}; {} is everybody.';
    END IF;
    INSERT INTO mailworkers.lead_segments AS known (workspace_id, name, filter)
    VALUES (save_segment.workspace_id, save_segment.name, save_segment.filter)
    ON CONFLICT (workspace_id, name) DO UPDATE SET filter = excluded.filter, updated_at = now()
    RETURNING id INTO saved;
    RETURN saved;
END
$$;
COMMENT ON FUNCTION mailworkers.save_segment(text, text, jsonb) IS
    'Save a filter under a name, or change it; campaigns that name it are not changed any more. Its id.';
REVOKE ALL ON FUNCTION mailworkers.save_segment(text, text, jsonb) FROM PUBLIC;

-- ---------------------------------------------------------------- who may do what

GRANT EXECUTE ON FUNCTION mailworkers.save_segment(text, text, jsonb) TO mailworkers_app, mailworkers_worker;
GRANT EXECUTE ON FUNCTION
    mailworkers.compile_lead_filter(jsonb), mailworkers.lead_condition(text, text, jsonb),
    mailworkers.lead_matches(jsonpath, text, text, jsonb)
    TO mailworkers_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON mailworkers.campaign_sends, mailworkers.campaign_revisions, mailworkers.email_job_batches, mailworkers.campaign_send_leads,
       mailworkers.progress_tracking, mailworkers.lead_segments TO mailworkers_worker;
GRANT USAGE ON SEQUENCE mailworkers.campaign_sends_id_seq, mailworkers.lead_segments_id_seq TO mailworkers_worker;
GRANT SELECT
    ON mailworkers.campaign_sends, mailworkers.campaign_revisions, mailworkers.email_job_batches, mailworkers.campaign_send_leads,
       mailworkers.progress_tracking, mailworkers.lead_segments TO mailworkers_readonly;
