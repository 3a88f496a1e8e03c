-- Leads that may not be written to any more: their mails end.

-- Why a lead gets no mail, by what this transaction sees of it; NULL where it does.
CREATE FUNCTION mailworkers.why_no_mail(workspace text, lead_id bigint) RETURNS text
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
DECLARE
    now_is text;
BEGIN
    SELECT lead.status INTO now_is FROM mailworkers.leads AS lead
    WHERE lead.workspace_id = workspace COLLATE "C" AND lead.id = why_no_mail.lead_id;
    RETURN CASE WHEN now_is IS NULL THEN 'the lead was removed' WHEN now_is <> 'active' THEN 'the lead is ' || now_is END;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.why_no_mail(text, bigint) FROM PUBLIC;

-- Mails that nobody has claimed, to one lead, end as suppressed.
CREATE FUNCTION mailworkers.suppress_jobs(jobs bigint[], lead bigint, reason text, counted_in integer) RETURNS void
    LANGUAGE sql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM mailworkers.email_jobs AS job
        WHERE job.id = ANY (jobs) AND job.lead_id = lead AND job.status IN ('waiting', 'retrying', 'paused')
        RETURNING job.*, to_jsonb(job) AS content
    ), kept AS (
        INSERT INTO mailworkers.email_sends (job_id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, status,
            to_email, subject, reply, content)
        SELECT id, campaign_id, created_at, scheduled_at, attempts, workspace_id, job_type, 'suppressed', to_email, subject, reason, content
        FROM gone
    )
    INSERT INTO mailworkers.progress_tracking AS p (kind, subject_id, part, done, suppressed)
    SELECT 'campaign', campaign_id, counted_in, count(*), count(*) FROM gone GROUP BY campaign_id ORDER BY campaign_id
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET done = p.done + excluded.done, suppressed = p.suppressed + excluded.suppressed, updated_at = now()
$$;
REVOKE ALL ON FUNCTION mailworkers.suppress_jobs(bigint[], bigint, text, integer) FROM PUBLIC;

-- Those that nobody has claimed end with the change of the lead, at its commit: until then it is still written to, and jobs are still
-- made for it. What the commit leaves it with counts, not what it was on the way.
CREATE FUNCTION mailworkers.withdraw_lead() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    reason constant text := mailworkers.why_no_mail(OLD.workspace_id, OLD.id);
    jobs bigint[];
BEGIN
    IF reason IS NULL THEN
        RETURN NULL;
    END IF;
    -- Of the workspace, whatever is open there now.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('mailworkers.leads ' || OLD.workspace_id, 0));
    SELECT array_agg(job_id) INTO jobs FROM (
        SELECT (SELECT noted.job_id FROM mailworkers.campaign_send_leads AS noted WHERE noted.campaign_id = c.id AND noted.lead_id = OLD.id) AS job_id
        FROM mailworkers.campaign_sends AS c
        WHERE c.workspace_id = OLD.workspace_id AND c.status IN ('running', 'paused', 'cancelling', 'stopped')) AS its WHERE job_id IS NOT NULL;
    IF jobs IS NULL THEN
        RETURN NULL;
    END IF;
    -- Few parts, as each is a row that counts are summed over; none is the canceller's, which locks jobs first.
    PERFORM mailworkers.suppress_jobs(jobs, OLD.id, reason, -1 - pg_backend_pid() % 64);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.withdraw_lead() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER withdraw_lead AFTER UPDATE OF status ON mailworkers.leads DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.status = 'active' AND NEW.status <> 'active') EXECUTE FUNCTION mailworkers.withdraw_lead();
CREATE CONSTRAINT TRIGGER withdraw_removed_lead AFTER DELETE ON mailworkers.leads DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (OLD.status = 'active') EXECUTE FUNCTION mailworkers.withdraw_lead();

-- And those that a daemon had at that moment, when they come back for another try.
CREATE FUNCTION mailworkers.withdraw_job() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    reason constant text := mailworkers.why_no_mail(NEW.workspace_id, NEW.lead_id);
BEGIN
    IF reason IS NOT NULL THEN
        -- In a part that no other session writes: it does so in the order of its jobs, not of their campaigns.
        PERFORM mailworkers.suppress_jobs(ARRAY[NEW.id], NEW.lead_id, reason, -65 - pg_backend_pid());
    END IF;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.withdraw_job() FROM PUBLIC;
CREATE TRIGGER withdraw_job AFTER UPDATE OF status ON mailworkers.email_jobs
    FOR EACH ROW WHEN (OLD.status = 'sending' AND NEW.status IN ('waiting', 'retrying') AND NEW.lead_id IS NOT NULL)
    EXECUTE FUNCTION mailworkers.withdraw_job();
