-- What people and applications may ask of a campaign: create, start, pause, resume, cancel, edit.

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
        'priority', changes -> 'priority', 'max_retries', changes -> 'max_retries', 'name', changes -> 'name',
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
        -- Whatever is different in its mails: resuming brings those to it that are in flight now and come back.
        IF (becomes.template, becomes.data, becomes.from_email, becomes.from_name, becomes.reply_to, becomes.headers, becomes.priority,
            becomes.max_retries) IS DISTINCT FROM
           (was.template, was.data, was.from_email, was.from_name, was.reply_to, was.headers, was.priority, was.max_retries) THEN
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

GRANT EXECUTE ON FUNCTION
    mailworkers.create_campaign(text, text, text, text, text, jsonb, jsonb, text, text, text, jsonb, integer, integer, timestamptz),
    mailworkers.start_campaign(bigint, timestamptz), mailworkers.pause_campaign(bigint), mailworkers.resume_campaign(bigint),
    mailworkers.cancel_campaign(bigint), mailworkers.edit_campaign(bigint, jsonb)
    TO mailworkers_app, mailworkers_worker;
GRANT EXECUTE ON FUNCTION
    mailworkers.aim_campaign(text, text, text, jsonb), mailworkers.pin_template(text, text),
    mailworkers.begin_campaign(mailworkers.campaign_sends), mailworkers.lock_campaign_jobs(bigint, integer)
    TO mailworkers_worker;
