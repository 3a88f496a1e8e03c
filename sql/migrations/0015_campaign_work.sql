-- What the daemons do for campaigns, who hears of what, what happens by the month, and where to look at it.

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
    -- Whoever unsubscribes a lead of the workspace shares this lock while it commits: either the job is seen there, or the lead's
    -- status here.
    IF at_end OR room <= 0 OR NOT pg_try_advisory_xact_lock(hashtextextended('mailworkers.leads ' || its.workspace_id, 0)) THEN
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
              AND (finished_at IS NULL OR finished_at >= keep_from));
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
    mailworkers.campaign_done(bigint), mailworkers.start_due_campaigns(),
    mailworkers.make_campaign_jobs(bigint, integer, integer), mailworkers.count_campaign_leads(bigint, integer),
    mailworkers.cancel_campaign_jobs(bigint, integer), mailworkers.finish_campaign(bigint),
    mailworkers.make_campaign_partition(), mailworkers.drop_campaigns(integer)
    TO mailworkers_worker;
GRANT SELECT ON mailworkers.campaign_progress TO mailworkers_app, mailworkers_worker, mailworkers_readonly;
