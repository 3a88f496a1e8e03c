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

-- ---------------------------------------------------------------- the life of a campaign

CREATE FUNCTION mailworkers.aim_campaign(workspace text, list text, segment text, filter jsonb, OUT list_id bigint, OUT match jsonpath)
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    stored jsonb;
BEGIN
    IF list IS NOT NULL THEN
        SELECT known.id INTO list_id FROM mailworkers.lead_lists AS known
        WHERE known.workspace_id = workspace COLLATE "C" AND known.name = list COLLATE "C";
        IF list_id IS NULL THEN
            RAISE no_data_found USING MESSAGE = format('workspace %L has no list %L', workspace, list),
                HINT = 'See `mailworkers leads lists`.';
        END IF;
    END IF;
    IF segment IS NOT NULL THEN
        SELECT known.filter INTO stored FROM mailworkers.lead_segments AS known
        WHERE known.workspace_id = workspace COLLATE "C" AND known.name = segment COLLATE "C";
        IF stored IS NULL THEN
            RAISE no_data_found USING MESSAGE = format('workspace %L has no segment %L', workspace, segment),
                HINT = 'Save it with save_segment.';
        END IF;
    END IF;
    match := mailworkers.compile_lead_filter(filter);
    IF stored IS NOT NULL THEN
        match := concat_ws(' && ', '(' || mailworkers.compile_lead_filter(stored)::text || ')', '(' || match::text || ')')::jsonpath;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.aim_campaign(text, text, text, jsonb) FROM PUBLIC;

CREATE FUNCTION mailworkers.pin_template(workspace text, template text) RETURNS text
    LANGUAGE plpgsql STABLE SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    parts constant text[] := regexp_match(pin_template.template, '^([^@+]+)(?:@([1-9][0-9]{0,8}))?$');
    pinned integer;
BEGIN
    IF parts IS NULL THEN
        RAISE check_violation USING MESSAGE = format('template %L must be a name, or a name and a version', pin_template.template),
            HINT = 'Write it as newsletter or newsletter@3.';
    END IF;
    SELECT known.version INTO pinned FROM mailworkers.templates AS known
    WHERE known.workspace_id = workspace COLLATE "C" AND known.name = parts[1] COLLATE "C"
      AND known.version = coalesce(parts[2]::integer, known.version)
    ORDER BY known.version DESC LIMIT 1;
    IF pinned IS NULL THEN
        RAISE no_data_found USING MESSAGE = format('workspace %L has no template %L', workspace, pin_template.template),
            HINT = 'Save it with `mailworkers templates save`.';
    END IF;
    RETURN parts[1] || '@' || pinned;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.pin_template(text, text) FROM PUBLIC;

-- The row, locked, if its status allows what is wanted of it.
CREATE FUNCTION mailworkers.campaign_for(wanted bigint, allowed text[], doing text) RETURNS mailworkers.campaign_sends
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    found_one mailworkers.campaign_sends;
BEGIN
    SELECT * INTO found_one FROM mailworkers.campaign_sends WHERE id = wanted FOR NO KEY UPDATE;
    IF found_one.id IS NULL THEN
        RAISE no_data_found USING MESSAGE = format('there is no campaign %s', coalesce(wanted::text, 'NULL')),
            HINT = 'See `mailworkers campaign list`.';
    ELSIF found_one.status <> ALL (allowed) THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE = format('campaign %s is %s and cannot be %s', wanted, found_one.status, doing);
    END IF;
    RETURN found_one;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.campaign_for(bigint, text[], text) FROM PUBLIC;

-- From draft or scheduled to running: the template's version and the last lead are fixed here.
CREATE FUNCTION mailworkers.begin_campaign(campaign mailworkers.campaign_sends) RETURNS void
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    pinned constant text := mailworkers.pin_template(campaign.workspace_id, campaign.template);
    aim record;
    final bigint;
BEGIN
    aim := mailworkers.aim_campaign(campaign.workspace_id, campaign.list, campaign.segment, campaign.filter);
    IF aim.list_id IS NULL THEN
        SELECT id INTO final FROM mailworkers.leads WHERE workspace_id = campaign.workspace_id ORDER BY workspace_id DESC, id DESC LIMIT 1;
    ELSE
        SELECT lead_id INTO final FROM mailworkers.lead_list_members WHERE list_id = aim.list_id ORDER BY list_id DESC, lead_id DESC LIMIT 1;
    END IF;
    INSERT INTO mailworkers.campaign_revisions (campaign_id, revision, template, data)
    VALUES (campaign.id, campaign.revision + 1, pinned, campaign.data);
    UPDATE mailworkers.campaign_sends
    SET status = 'running', template = pinned, revision = campaign.revision + 1, list_id = aim.list_id, match = aim.match,
        last_lead = coalesce(final, 0), started_at = now(), paused_at = NULL, why = NULL
    WHERE id = campaign.id;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.begin_campaign(mailworkers.campaign_sends) FROM PUBLIC;

CREATE FUNCTION mailworkers.start_campaign(id bigint, at timestamptz DEFAULT now()) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    found_one constant mailworkers.campaign_sends := mailworkers.campaign_for(start_campaign.id, '{draft,scheduled}', 'started');
BEGIN
    IF coalesce(start_campaign.at, now()) <= now() THEN
        UPDATE mailworkers.campaign_sends AS c SET start_at = now() WHERE c.id = found_one.id;
        PERFORM mailworkers.begin_campaign(found_one);
    ELSE
        PERFORM mailworkers.pin_template(found_one.workspace_id, found_one.template);
        UPDATE mailworkers.campaign_sends AS c SET status = 'scheduled', start_at = start_campaign.at, why = NULL WHERE c.id = found_one.id;
    END IF;
END
$$;
COMMENT ON FUNCTION mailworkers.start_campaign(bigint, timestamptz) IS 'Send a campaign now, or at a time.';
REVOKE ALL ON FUNCTION mailworkers.start_campaign(bigint, timestamptz) FROM PUBLIC;

CREATE FUNCTION mailworkers.create_campaign(
    name text, template text, workspace_id text DEFAULT 'default', list text DEFAULT NULL, segment text DEFAULT NULL,
    filter jsonb DEFAULT NULL, data jsonb DEFAULT '{}', from_email text DEFAULT NULL, from_name text DEFAULT NULL,
    reply_to text DEFAULT NULL, headers jsonb DEFAULT NULL, priority integer DEFAULT 10, max_retries integer DEFAULT 3,
    start_at timestamptz DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    made bigint;
    aim record;
BEGIN
    IF priority NOT BETWEEN -100 AND 100 THEN
        RAISE check_violation USING MESSAGE = 'priority must be between -100 (first) and 100 (last)';
    ELSIF max_retries NOT BETWEEN 0 AND 100 THEN
        RAISE check_violation USING MESSAGE = 'max_retries must be between 0 and 100';
    END IF;
    PERFORM mailworkers.pin_template(workspace_id, template);
    aim := mailworkers.aim_campaign(workspace_id, list, segment, filter);
    INSERT INTO mailworkers.campaign_sends (workspace_id, name, template, list_id, list, segment, filter, match, data,
        from_email, from_name, reply_to, headers, priority, max_retries)
    VALUES (workspace_id, name, template, aim.list_id, list, segment, filter, aim.match, coalesce(data, '{}'),
        from_email, from_name, reply_to, headers, priority, max_retries)
    RETURNING id INTO made;
    IF start_at IS NOT NULL THEN
        PERFORM mailworkers.start_campaign(made, start_at);
    END IF;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mailworkers.create_campaign(text, text, text, text, text, jsonb, jsonb, text, text, text, jsonb, integer, integer, timestamptz) IS
    'A campaign to the leads of a list, a segment or a filter, or to all; its id. A draft where no start_at is given.';
REVOKE ALL ON FUNCTION mailworkers.create_campaign(text, text, text, text, text, jsonb, jsonb, text, text, text, jsonb, integer, integer, timestamptz)
    FROM PUBLIC;

CREATE FUNCTION mailworkers.pause_campaign(id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    found_one constant mailworkers.campaign_sends := mailworkers.campaign_for(pause_campaign.id, '{scheduled,running,paused}', 'paused');
BEGIN
    UPDATE mailworkers.campaign_sends AS c SET status = 'paused', paused_at = now() WHERE c.id = found_one.id AND c.status <> 'paused';
END
$$;
COMMENT ON FUNCTION mailworkers.pause_campaign(bigint) IS 'Send nothing more of it but what is in flight, until it is resumed.';
REVOKE ALL ON FUNCTION mailworkers.pause_campaign(bigint) FROM PUBLIC;

CREATE FUNCTION mailworkers.cancel_campaign(id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    found_one constant mailworkers.campaign_sends := mailworkers.campaign_for(cancel_campaign.id,
        '{draft,scheduled,running,paused,stopped,cancelling,cancelled}', 'cancelled');
BEGIN
    -- Where nothing was made, nothing has to be taken back.
    UPDATE mailworkers.campaign_sends AS c
    SET status = CASE WHEN found_one.started_at IS NULL THEN 'cancelled' ELSE 'cancelling' END,
        finished_at = CASE WHEN found_one.started_at IS NULL THEN now() END
    WHERE c.id = found_one.id AND c.status NOT IN ('cancelling', 'cancelled');
END
$$;
COMMENT ON FUNCTION mailworkers.cancel_campaign(bigint) IS 'End it: what is in flight goes out, all else is recorded as cancelled.';
REVOKE ALL ON FUNCTION mailworkers.cancel_campaign(bigint) FROM PUBLIC;

-- Jobs of a campaign that nobody has claimed, locked; at most so many. Index email_jobs_ready: through the workspace's
-- (destination_group, priority) pairs, and into the campaign's front of each.
CREATE FUNCTION mailworkers.lock_campaign_jobs(campaign bigint, most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    workspace constant text := (SELECT c.workspace_id FROM mailworkers.campaign_sends AS c WHERE c.id = campaign);
    pair record;
    locked bigint[];
BEGIN
    FOR pair IN
        WITH RECURSIVE pairs AS (
            (SELECT job.destination_group, job.priority FROM mailworkers.email_jobs AS job
             WHERE job.status IN ('waiting', 'retrying') AND job.workspace_id = workspace COLLATE "C"
             ORDER BY job.workspace_id, job.destination_group, job.priority LIMIT 1)
            UNION ALL
            SELECT next.* FROM pairs CROSS JOIN LATERAL (
                SELECT job.destination_group, job.priority FROM mailworkers.email_jobs AS job
                WHERE job.status IN ('waiting', 'retrying') AND job.workspace_id = workspace COLLATE "C"
                  AND (job.workspace_id, job.destination_group, job.priority)
                      > (workspace COLLATE "C", pairs.destination_group, pairs.priority)
                ORDER BY job.workspace_id, job.destination_group, job.priority LIMIT 1) AS next
        )
        SELECT * FROM pairs
    LOOP
        SELECT array_agg(found_one.id) INTO locked FROM (
            SELECT job.id FROM mailworkers.email_jobs AS job
            WHERE job.status IN ('waiting', 'retrying') AND job.workspace_id = workspace COLLATE "C"
              AND job.destination_group = pair.destination_group AND job.priority = pair.priority
              AND CASE WHEN job.lead_id > 0 THEN job.campaign_id ELSE 0 END = campaign
            LIMIT most
            FOR UPDATE SKIP LOCKED) AS found_one;
        RETURN QUERY SELECT unnest(locked);
        most := most - coalesce(cardinality(locked), 0);
        EXIT WHEN most <= 0;
    END LOOP;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.lock_campaign_jobs(bigint, integer) FROM PUBLIC;

-- Bring what was made before an edit, and is not in flight, to the present revision.
CREATE FUNCTION mailworkers.revise_campaign_jobs(campaign bigint) RETURNS integer
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    now_is constant mailworkers.campaign_sends := (SELECT c FROM mailworkers.campaign_sends AS c WHERE c.id = campaign);
    changed integer;
BEGIN
    UPDATE mailworkers.email_jobs AS job
    SET template = now_is.template || '+' || now_is.id || '.' || now_is.revision, from_email = now_is.from_email,
        from_name = now_is.from_name, reply_to = now_is.reply_to, headers = now_is.headers,
        priority = now_is.priority, max_retries = now_is.max_retries
    WHERE job.id = ANY (ARRAY(SELECT mailworkers.lock_campaign_jobs(campaign, 1000000)))
      AND (job.template, job.from_email, job.from_name, job.reply_to, job.headers, job.priority, job.max_retries) IS DISTINCT FROM
          (now_is.template || '+' || now_is.id || '.' || now_is.revision, now_is.from_email, now_is.from_name, now_is.reply_to,
           now_is.headers, now_is.priority, now_is.max_retries);
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.revise_campaign_jobs(bigint) FROM PUBLIC;

CREATE FUNCTION mailworkers.resume_campaign(id bigint) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    found_one constant mailworkers.campaign_sends := mailworkers.campaign_for(resume_campaign.id, '{paused,stopped,running}', 'resumed');
BEGIN
    IF found_one.status = 'running' THEN
        RETURN;
    ELSIF found_one.started_at IS NULL THEN
        PERFORM mailworkers.start_campaign_again(found_one);
        RETURN;
    END IF;
    IF found_one.revision > 1 THEN  -- what was in flight at the edit may have come back since
        PERFORM mailworkers.revise_campaign_jobs(found_one.id);
    END IF;
    UPDATE mailworkers.campaign_sends AS c
    SET status = 'running', why = NULL, paused_at = NULL,
        paused_seconds = c.paused_seconds + coalesce(extract(epoch FROM now() - c.paused_at), 0)
    WHERE c.id = found_one.id;
END
$$;
COMMENT ON FUNCTION mailworkers.resume_campaign(bigint) IS 'Go on with a campaign that was paused or has stopped.';
REVOKE ALL ON FUNCTION mailworkers.resume_campaign(bigint) FROM PUBLIC;

-- Paused or stopped before its start: it starts when it was meant to, or now.
CREATE FUNCTION mailworkers.start_campaign_again(campaign mailworkers.campaign_sends) RETURNS void
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
BEGIN
    IF campaign.start_at > now() THEN
        UPDATE mailworkers.campaign_sends SET status = 'scheduled', paused_at = NULL, why = NULL WHERE id = campaign.id;
    ELSE
        PERFORM mailworkers.begin_campaign(campaign);
    END IF;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.start_campaign_again(mailworkers.campaign_sends) FROM PUBLIC;

CREATE FUNCTION mailworkers.edit_campaign(id bigint, changes jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    known constant text[] := '{name,template,data,from_email,from_name,reply_to,headers,priority,max_retries,list,segment,filter,start_at}';
    was constant mailworkers.campaign_sends := mailworkers.campaign_for(edit_campaign.id, '{draft,scheduled,paused,stopped}', 'edited');
    becomes mailworkers.campaign_sends;
    stranger text;
    aim record;
BEGIN
    IF jsonb_typeof(changes) IS DISTINCT FROM 'object' THEN
        RAISE check_violation USING MESSAGE = 'changes must be a JSON object', HINT = 'As in {"template": "newsletter@4"}.';
    END IF;
    SELECT key INTO stranger FROM jsonb_object_keys(changes) AS key WHERE key <> ALL (known) LIMIT 1;
    IF stranger IS NOT NULL THEN
        RAISE check_violation USING MESSAGE = format('a campaign has no %L to be changed', stranger),
            HINT = 'It has ' || array_to_string(known, ', ') || '.';
    ELSIF was.started_at IS NOT NULL AND changes ?| '{list,segment,filter,start_at}' THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('campaign %s has started: whom it goes to, and when, cannot be changed any more', was.id),
            HINT = 'Cancel it and create another one.';
    END IF;
    becomes := jsonb_populate_record(was, changes - '{priority,max_retries}'::text[] || jsonb_strip_nulls(jsonb_build_object(
        'priority', changes -> 'priority', 'max_retries', changes -> 'max_retries', 'data', changes -> 'data', 'name', changes -> 'name',
        'template', changes -> 'template')));
    becomes.data := coalesce(becomes.data, '{}');
    becomes.name := coalesce(becomes.name, was.name);
    becomes.template := coalesce(becomes.template, was.template);
    IF was.started_at IS NULL THEN
        PERFORM mailworkers.pin_template(was.workspace_id, becomes.template);
        aim := mailworkers.aim_campaign(was.workspace_id, becomes.list, becomes.segment, becomes.filter);
        becomes.list_id := aim.list_id;
        becomes.match := aim.match;
    ELSE
        becomes.template := mailworkers.pin_template(was.workspace_id, becomes.template);
        IF (becomes.template, becomes.data) IS DISTINCT FROM (was.template, was.data) THEN
            becomes.revision := was.revision + 1;
            INSERT INTO mailworkers.campaign_revisions (campaign_id, revision, template, data)
            VALUES (was.id, becomes.revision, becomes.template, becomes.data);
        END IF;
    END IF;
    UPDATE mailworkers.campaign_sends AS c
    SET name = becomes.name, template = becomes.template, data = becomes.data, from_email = becomes.from_email,
        from_name = becomes.from_name, reply_to = becomes.reply_to, headers = becomes.headers, priority = becomes.priority,
        max_retries = becomes.max_retries, list = becomes.list, segment = becomes.segment, filter = becomes.filter,
        list_id = becomes.list_id, match = becomes.match, start_at = becomes.start_at, revision = becomes.revision
    WHERE c.id = was.id;
    IF was.started_at IS NOT NULL THEN
        PERFORM mailworkers.revise_campaign_jobs(was.id);
    END IF;
END
$$;
COMMENT ON FUNCTION mailworkers.edit_campaign(bigint, jsonb) IS
    'Change a campaign that is not running; null takes a value away. Mails made already and not in flight are changed with it.';
REVOKE ALL ON FUNCTION mailworkers.edit_campaign(bigint, jsonb) FROM PUBLIC;

-- ---------------------------------------------------------------- what the daemons do

CREATE FUNCTION mailworkers.campaign_done(campaign bigint) RETURNS bigint
    LANGUAGE sql STABLE AS $$
    SELECT coalesce(sum(done), 0)::bigint FROM mailworkers.progress_tracking WHERE kind = 'campaign' AND subject_id = campaign
$$;
REVOKE ALL ON FUNCTION mailworkers.campaign_done(bigint) FROM PUBLIC;

CREATE FUNCTION mailworkers.start_due_campaigns() RETURNS integer
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    due mailworkers.campaign_sends;
    started integer := 0;
BEGIN
    FOR due IN SELECT * FROM mailworkers.campaign_sends WHERE status = 'scheduled' AND start_at <= now() FOR NO KEY UPDATE SKIP LOCKED LOOP
        BEGIN
            PERFORM mailworkers.begin_campaign(due);
            started := started + 1;
        EXCEPTION WHEN no_data_found OR check_violation THEN
            UPDATE mailworkers.campaign_sends SET status = 'stopped', paused_at = now(), why = 'it could not start: ' || SQLERRM WHERE id = due.id;
        END;
    END LOOP;
    RETURN started;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.start_due_campaigns() FROM PUBLIC;

-- Jobs for the leads beyond the cursor, which moves in the same transaction. Looks at `chunk` leads, makes jobs for those that are
-- active and match, and never more than there is room for in the window. Does nothing where another daemon is at it.
CREATE FUNCTION mailworkers.make_campaign_jobs(
    campaign bigint, chunk integer DEFAULT 1000, job_window integer DEFAULT 10000,
    OUT looked integer, OUT made integer, OUT room bigint, OUT at_end boolean
)
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    its mailworkers.campaign_sends;
    upto bigint;
    again boolean;
    reference text;
BEGIN
    looked := 0; made := 0; room := 0; at_end := false;
    SELECT * INTO its FROM mailworkers.campaign_sends WHERE id = campaign AND status = 'running' FOR NO KEY UPDATE SKIP LOCKED;
    IF its.id IS NULL THEN
        RETURN;
    END IF;
    at_end := its.next_lead >= its.last_lead;
    room := least(its.job_window, make_campaign_jobs.job_window) - (its.made - mailworkers.campaign_done(campaign));
    -- Whoever unsubscribes a lead shares this lock until its commit: either the job is seen there, or the lead's status here.
    IF at_end OR room <= 0 OR NOT pg_try_advisory_xact_lock(hashtextextended('mailworkers.campaign', campaign)) THEN
        RETURN;
    END IF;
    -- It need not reach the disk before the claim of its jobs does, whose commit brings all before it there.
    PERFORM set_config('synchronous_commit', 'off', true);
    -- Where the cursor was set back by hand, leads that have their mail are passed over.
    again := EXISTS (SELECT FROM mailworkers.campaign_send_leads AS noted WHERE noted.campaign_id = its.id AND noted.lead_id > its.next_lead);
    reference := its.template || '+' || its.id || '.' || its.revision;

    WITH looked_at AS MATERIALIZED (
        SELECT id, ok, CASE WHEN ok THEN email END AS email, CASE WHEN ok THEN name END AS name, CASE WHEN ok THEN data END AS data
        FROM (
            (SELECT lead.id, lead.email, lead.name, lead.data,
                lead.status = 'active' AND mailworkers.lead_matches(its.match, lead.email, lead.name, lead.data) AS ok
             FROM mailworkers.leads AS lead
             WHERE its.list_id IS NULL AND lead.workspace_id = its.workspace_id AND lead.id > its.next_lead AND lead.id <= its.last_lead
             ORDER BY lead.workspace_id, lead.id LIMIT chunk)
            UNION ALL
            (SELECT member.lead_id, lead.email, lead.name, lead.data,
                coalesce(lead.status = 'active' AND mailworkers.lead_matches(its.match, lead.email, lead.name, lead.data), false)
             FROM (SELECT lead_id FROM mailworkers.lead_list_members
                   WHERE its.list_id IS NOT NULL AND list_id = its.list_id AND lead_id > its.next_lead AND lead_id <= its.last_lead
                   ORDER BY list_id, lead_id LIMIT chunk) AS member
             LEFT JOIN mailworkers.leads AS lead ON lead.workspace_id = its.workspace_id AND lead.id = member.lead_id
             ORDER BY member.lead_id)
        ) AS candidate
    ), picked AS MATERIALIZED (
        SELECT * FROM looked_at
        WHERE ok AND NOT (again AND EXISTS (
            SELECT FROM mailworkers.campaign_send_leads AS noted WHERE noted.campaign_id = its.id AND noted.lead_id = looked_at.id))
        ORDER BY id LIMIT make_campaign_jobs.room
    ), inserted AS (
        INSERT INTO mailworkers.email_jobs (campaign_id, lead_id, workspace_id, destination_group, priority, max_retries,
            to_email, to_name, from_email, from_name, reply_to, headers, template, data)
        SELECT its.id, lead.id, its.workspace_id, coalesce(known.destination_group, ''), its.priority, its.max_retries,
            lead.email, lead.name, its.from_email, its.from_name, its.reply_to, its.headers, reference,
            CASE WHEN lead.name IS NULL THEN jsonb_build_object('email', lead.email, 'lead_id', lead.id)
                 ELSE jsonb_build_object('email', lead.email, 'lead_id', lead.id, 'name', lead.name) END || lead.data
        FROM picked AS lead
        LEFT JOIN mailworkers.destination_domains AS known ON known.domain = split_part(lead.email, '@', 2) COLLATE "C"
        RETURNING id, lead_id
    ), noted AS (
        INSERT INTO mailworkers.campaign_send_leads (campaign_id, lead_id, job_id) SELECT its.id, lead_id, id FROM inserted
    ), reached AS (
        SELECT CASE
            WHEN (SELECT count(*) FROM picked) >= make_campaign_jobs.room THEN (SELECT max(id) FROM picked)
            WHEN (SELECT count(*) FROM looked_at) < chunk THEN its.last_lead
            ELSE (SELECT max(id) FROM looked_at) END AS lead
    )
    SELECT reached.lead, (SELECT count(*) FROM looked_at WHERE id <= reached.lead), (SELECT count(*) FROM inserted)
    INTO upto, looked, made FROM reached;

    at_end := upto >= its.last_lead;
    room := room - made;
    UPDATE mailworkers.campaign_sends AS c
    SET next_lead = upto, looked_at = c.looked_at + looked, made = c.made + make_campaign_jobs.made,
        skipped = c.skipped + looked - make_campaign_jobs.made,
        expected = CASE WHEN make_campaign_jobs.at_end THEN c.made + make_campaign_jobs.made ELSE c.expected END
    WHERE c.id = its.id;
    INSERT INTO mailworkers.email_job_batches (campaign_id, batch, first_lead, last_lead, made, skipped)
    SELECT its.id, coalesce((SELECT max(batch) FROM mailworkers.email_job_batches WHERE campaign_id = its.id), 0) + 1,
        its.next_lead + 1, upto, make_campaign_jobs.made, looked - make_campaign_jobs.made;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.make_campaign_jobs(bigint, integer, integer) FROM PUBLIC;

-- How many leads match, counted beside the making in portions; true once it is known.
CREATE FUNCTION mailworkers.count_campaign_leads(campaign bigint, chunk integer DEFAULT 20000) RETURNS boolean
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    its mailworkers.campaign_sends;
    found_ones bigint;
    matching bigint;
    upto bigint;
BEGIN
    SELECT * INTO its FROM mailworkers.campaign_sends
    WHERE id = campaign AND status IN ('running', 'paused') AND expected IS NULL AND last_lead IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED;
    IF its.id IS NULL THEN
        RETURN true;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);  -- what is lost is counted again
    IF its.list_id IS NULL THEN
        SELECT count(*), max(id), count(*) FILTER (WHERE ok) INTO found_ones, upto, matching FROM (
            SELECT lead.id, lead.status = 'active' AND mailworkers.lead_matches(its.match, lead.email, lead.name, lead.data) AS ok
            FROM mailworkers.leads AS lead
            WHERE lead.workspace_id = its.workspace_id AND lead.id > its.counted_lead AND lead.id <= its.last_lead
            ORDER BY lead.workspace_id, lead.id LIMIT chunk) AS part;
    ELSE
        SELECT count(*), max(lead_id), count(*) FILTER (WHERE ok) INTO found_ones, upto, matching FROM (
            SELECT member.lead_id, lead.status = 'active' AND mailworkers.lead_matches(its.match, lead.email, lead.name, lead.data) AS ok
            FROM (SELECT lead_id FROM mailworkers.lead_list_members
                  WHERE list_id = its.list_id AND lead_id > its.counted_lead AND lead_id <= its.last_lead
                  ORDER BY list_id, lead_id LIMIT chunk) AS member
            LEFT JOIN mailworkers.leads AS lead ON lead.workspace_id = its.workspace_id AND lead.id = member.lead_id) AS part;
    END IF;
    UPDATE mailworkers.campaign_sends AS c
    SET counted = c.counted + matching, counted_lead = coalesce(upto, c.last_lead),
        expected = CASE WHEN found_ones < chunk THEN c.counted + matching END
    WHERE c.id = its.id;
    RETURN found_ones < chunk;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.count_campaign_leads(bigint, integer) FROM PUBLIC;

-- Of a campaign that is being cancelled, end what nobody has claimed; how many.
CREATE FUNCTION mailworkers.cancel_campaign_jobs(campaign bigint, most integer DEFAULT 1000) RETURNS integer
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    ended integer;
BEGIN
    PERFORM FROM mailworkers.campaign_sends WHERE id = campaign AND status = 'cancelling' FOR SHARE SKIP LOCKED;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    WITH gone AS (
        DELETE FROM mailworkers.email_jobs AS job
        WHERE job.id = ANY (ARRAY(SELECT mailworkers.lock_campaign_jobs(campaign, most)))
        RETURNING job.*, to_jsonb(job) AS content
    ), kept AS (
        INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, status,
            to_email, subject, reply, content)
        SELECT id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, 'cancelled', to_email, subject,
            'its campaign was cancelled', content
        FROM gone
    ), progressed AS (
        INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, cancelled)
        SELECT 'campaign', campaign, 0, count(*), count(*) FROM gone HAVING count(*) > 0
        ON CONFLICT (kind, subject_id, part) DO UPDATE
            SET done = p.done + excluded.done, cancelled = p.cancelled + excluded.cancelled, updated_at = now()
    )
    SELECT count(*) INTO ended FROM gone;
    RETURN ended;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.cancel_campaign_jobs(bigint, integer) FROM PUBLIC;

-- Ends a campaign whose last mail has ended, and folds its progress into one row; whether it did.
CREATE FUNCTION mailworkers.finish_campaign(campaign bigint) RETURNS boolean
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    its mailworkers.campaign_sends;
BEGIN
    SELECT * INTO its FROM mailworkers.campaign_sends
    WHERE id = campaign AND (status = 'cancelling' OR (status = 'running' AND next_lead >= last_lead))
    FOR NO KEY UPDATE SKIP LOCKED;
    IF its.id IS NULL OR its.made > mailworkers.campaign_done(campaign) THEN
        RETURN false;
    END IF;
    PERFORM set_config('synchronous_commit', 'off', true);  -- what is lost is found again
    UPDATE mailworkers.campaign_sends
    SET status = CASE status WHEN 'cancelling' THEN 'cancelled' ELSE 'finished' END, finished_at = now(),
        expected = CASE status WHEN 'cancelling' THEN expected ELSE made END
    WHERE id = campaign;
    WITH parts AS (
        DELETE FROM mailworkers.progress_tracking WHERE kind = 'campaign' AND subject_id = campaign AND part <> 0 RETURNING *
    )
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, sent, failed, abandoned, cancelled, suppressed, unknown)
    SELECT 'campaign', campaign, 0, sum(done), sum(sent), sum(failed), sum(abandoned), sum(cancelled), sum(suppressed), sum(unknown)
    FROM parts HAVING count(*) > 0
    ON CONFLICT (kind, subject_id, part) DO UPDATE SET done = p.done + excluded.done, sent = p.sent + excluded.sent,
        failed = p.failed + excluded.failed, abandoned = p.abandoned + excluded.abandoned, cancelled = p.cancelled + excluded.cancelled,
        suppressed = p.suppressed + excluded.suppressed, unknown = p.unknown + excluded.unknown, updated_at = now();
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.finish_campaign(bigint) FROM PUBLIC;

-- ---------------------------------------------------------------- who hears of what

CREATE FUNCTION mailworkers.tell_of_campaign() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_campaigns', NEW.id::text);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.tell_of_campaign() FROM PUBLIC;
-- The makers' updates of cursor and counts name none of these columns and fire nothing.
CREATE TRIGGER tell_of_campaign AFTER INSERT OR UPDATE OF status, revision, start_at ON mailworkers.campaign_sends
    FOR EACH ROW EXECUTE FUNCTION mailworkers.tell_of_campaign();

-- A lead that may not be written to any more: its mails that nobody has claimed end as suppressed, with the change.
CREATE FUNCTION mailworkers.withdraw_lead() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    reason constant text := CASE TG_OP WHEN 'DELETE' THEN 'the lead was removed' ELSE 'the lead is ' || NEW.status END;
    jobs bigint[];
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('mailworkers.campaign', id)) FROM mailworkers.campaign_sends
    WHERE workspace_id = OLD.workspace_id AND status IN ('running', 'paused', 'cancelling', 'stopped');
    SELECT array_agg(job_id) INTO jobs FROM (
        SELECT (SELECT noted.job_id FROM mailworkers.campaign_send_leads AS noted WHERE noted.campaign_id = c.id AND noted.lead_id = OLD.id) AS job_id
        FROM mailworkers.campaign_sends AS c
        WHERE c.workspace_id = OLD.workspace_id AND c.status IN ('running', 'paused', 'cancelling', 'stopped')) AS its WHERE job_id IS NOT NULL;
    IF jobs IS NULL THEN
        RETURN NULL;
    END IF;
    WITH gone AS (
        DELETE FROM mailworkers.email_jobs AS job
        WHERE job.id = ANY (jobs) AND job.lead_id = OLD.id AND job.status IN ('waiting', 'retrying', 'paused')
        RETURNING job.*, to_jsonb(job) AS content
    ), kept AS (
        INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, status,
            to_email, subject, reply, content)
        SELECT id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, 'suppressed', to_email, subject, reason, content
        FROM gone
    )
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, suppressed)
    SELECT 'campaign', campaign_id, -pg_backend_pid(), count(*), count(*) FROM gone GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET done = p.done + excluded.done, suppressed = p.suppressed + excluded.suppressed, updated_at = now();
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.withdraw_lead() FROM PUBLIC;
CREATE TRIGGER withdraw_lead AFTER UPDATE OF status ON mailworkers.leads
    FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status <> 'active') EXECUTE FUNCTION mailworkers.withdraw_lead();
CREATE TRIGGER withdraw_removed_lead AFTER DELETE ON mailworkers.leads
    FOR EACH ROW WHEN (OLD.status = 'active') EXECUTE FUNCTION mailworkers.withdraw_lead();

-- ---------------------------------------------------------------- by month

-- A month's campaigns have numbers of their own hundred thousand, and thus one partition, which goes with them.
CREATE FUNCTION mailworkers.make_campaign_partition() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    part constant text := 'campaign_send_leads_' || to_char(now(), 'YYYY_MM');
    begins bigint;
BEGIN
    IF to_regclass(format('mailworkers.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('mailworkers.campaign_partition', 0));
    IF to_regclass(format('mailworkers.%I', part)) IS NOT NULL THEN
        RETURN false;
    END IF;
    -- The numbers of a month without campaigns are its own all the same: its partition has them.
    SELECT CASE WHEN is_called OR EXISTS (
            SELECT FROM pg_inherits WHERE inhparent = 'mailworkers.campaign_send_leads'::regclass
              AND inhrelid <> 'mailworkers.campaign_send_leads_default'::regclass)
        THEN (last_value / 100000 + 1) * 100000 ELSE last_value / 100000 * 100000 END INTO begins
    FROM mailworkers.campaign_sends_id_seq;
    EXECUTE format('CREATE TABLE mailworkers.%I PARTITION OF mailworkers.campaign_send_leads FOR VALUES FROM (%s) TO (%s)',
        part, begins, begins + 100000);
    PERFORM setval('mailworkers.campaign_sends_id_seq', greatest(begins, 1), false);
    RETURN true;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.make_campaign_partition() FROM PUBLIC;
SELECT mailworkers.make_campaign_partition();

CREATE FUNCTION mailworkers.drop_campaigns(keep_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    keep_from constant timestamptz := date_trunc('month', now()) - keep_months * interval '1 month';
    oldest constant text := to_char(keep_from, 'YYYY_MM');
    part record;
    dropped integer := 0;
BEGIN
    IF keep_months < 1 THEN
        RAISE EXCEPTION 'at least one month is kept';
    END IF;
    FOR part IN
        SELECT child.relname AS name, (regexp_match(pg_get_expr(child.relpartbound, child.oid), 'FROM \(''?(\d+)''?\)'))[1]::bigint AS begins
        FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = 'mailworkers.campaign_send_leads'::regclass AND child.relname ~ '^campaign_send_leads_\d{4}_\d\d$'
          AND right(child.relname, 7) < oldest
    LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM mailworkers.campaign_sends WHERE id >= part.begins AND id < part.begins + 100000
              AND (finished_at >= keep_from OR (finished_at IS NULL AND status NOT IN ('draft'))));
        DELETE FROM mailworkers.progress_tracking WHERE kind = 'campaign' AND subject_id >= part.begins AND subject_id < part.begins + 100000;
        DELETE FROM mailworkers.email_job_batches WHERE campaign_id >= part.begins AND campaign_id < part.begins + 100000;
        DELETE FROM mailworkers.campaign_revisions WHERE campaign_id >= part.begins AND campaign_id < part.begins + 100000;
        DELETE FROM mailworkers.campaign_sends WHERE id >= part.begins AND id < part.begins + 100000;
        EXECUTE format('DROP TABLE mailworkers.%I', part.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.drop_campaigns(integer) FROM PUBLIC;

-- ---------------------------------------------------------------- to look at

CREATE VIEW mailworkers.campaign_progress AS
    SELECT c.id AS campaign_id, c.workspace_id, c.name, c.status, c.expected, c.looked_at, c.made, c.skipped,
        c.made - p.done AS live, p.sent, p.failed, p.abandoned, p.cancelled, p.suppressed, p.unknown,
        c.start_at, c.started_at, c.finished_at, c.why,
        CASE WHEN t.seconds > 0 THEN p.done / t.seconds END AS mails_per_second,
        CASE WHEN c.status = 'running' AND p.done > 0 AND c.expected IS NOT NULL
             THEN now() + greatest(c.expected - p.done, 0) * t.seconds / p.done * interval '1 second' END AS ends_at
    FROM mailworkers.campaign_sends AS c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(done), 0)::bigint AS done, coalesce(sum(sent), 0)::bigint AS sent, coalesce(sum(failed), 0)::bigint AS failed,
            coalesce(sum(abandoned), 0)::bigint AS abandoned, coalesce(sum(cancelled), 0)::bigint AS cancelled,
            coalesce(sum(suppressed), 0)::bigint AS suppressed, coalesce(sum(unknown), 0)::bigint AS unknown
        FROM mailworkers.progress_tracking WHERE kind = 'campaign' AND subject_id = c.id
    ) AS p
    CROSS JOIN LATERAL (
        SELECT extract(epoch FROM coalesce(c.finished_at, c.paused_at, now()) - c.started_at)::float8 - c.paused_seconds AS seconds
    ) AS t;
COMMENT ON VIEW mailworkers.campaign_progress IS
    'One row a campaign, exact at every moment: made = live + sent + failed + abandoned + cancelled + suppressed + unknown.';

CREATE OR REPLACE VIEW mailworkers.email_job_status AS
    SELECT id AS job_id, workspace_id, campaign_id, job_type, to_email,
           CASE WHEN lead_id IS NOT NULL AND status IN ('waiting', 'retrying')
                 AND (SELECT c.held FROM mailworkers.campaign_sends AS c WHERE c.id = job.campaign_id)
                THEN 'paused' ELSE status END AS status,
           attempts, last_reply AS reply,
           NULL::text AS message_id, created_at, scheduled_at, NULL::timestamptz AS finished_at
    FROM mailworkers.email_jobs AS job
    UNION ALL
    SELECT job_id, workspace_id, campaign_id, job_type, to_email, status, attempts, reply,
           message_id, created_at, scheduled_at, finished_at
    FROM mailworkers.email_sends;

-- ---------------------------------------------------------------- who may do what

GRANT EXECUTE ON FUNCTION
    mailworkers.create_campaign(text, text, text, text, text, jsonb, jsonb, text, text, text, jsonb, integer, integer, timestamptz),
    mailworkers.start_campaign(bigint, timestamptz), mailworkers.pause_campaign(bigint), mailworkers.resume_campaign(bigint),
    mailworkers.cancel_campaign(bigint), mailworkers.edit_campaign(bigint, jsonb), mailworkers.save_segment(text, text, jsonb)
    TO mailworkers_app, mailworkers_worker;
GRANT SELECT ON mailworkers.campaign_progress TO mailworkers_app, mailworkers_worker;

GRANT EXECUTE ON FUNCTION
    mailworkers.compile_lead_filter(jsonb), mailworkers.lead_condition(text, text, jsonb),
    mailworkers.lead_matches(jsonpath, text, text, jsonb), mailworkers.aim_campaign(text, text, text, jsonb),
    mailworkers.pin_template(text, text), mailworkers.begin_campaign(mailworkers.campaign_sends), mailworkers.campaign_done(bigint),
    mailworkers.lock_campaign_jobs(bigint, integer), mailworkers.start_due_campaigns(),
    mailworkers.make_campaign_jobs(bigint, integer, integer), mailworkers.count_campaign_leads(bigint, integer),
    mailworkers.cancel_campaign_jobs(bigint, integer), mailworkers.finish_campaign(bigint),
    mailworkers.make_campaign_partition(), mailworkers.drop_campaigns(integer)
    TO mailworkers_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON mailworkers.campaign_sends, mailworkers.campaign_revisions, mailworkers.email_job_batches, mailworkers.campaign_send_leads,
       mailworkers.progress_tracking, mailworkers.lead_segments TO mailworkers_worker;
GRANT USAGE ON SEQUENCE mailworkers.campaign_sends_id_seq, mailworkers.lead_segments_id_seq TO mailworkers_worker;
GRANT SELECT
    ON mailworkers.campaign_sends, mailworkers.campaign_revisions, mailworkers.email_job_batches, mailworkers.campaign_send_leads,
       mailworkers.progress_tracking, mailworkers.lead_segments, mailworkers.campaign_progress TO mailworkers_readonly;
