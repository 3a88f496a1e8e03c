-- Ends that were not seen as such: tries that never come, mails paused by hand, starts that were taken away, leads that have left.

SET LOCAL lock_timeout = '5s';

-- ---------------------------------------------------------------- a mail that is withdrawn as it comes back

-- The attempt that has just failed was noted, and counted, as one that another follows.
CREATE OR REPLACE FUNCTION mailworkers.withdraw_job() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    reason constant text := mailworkers.why_no_mail(NEW.workspace_id, NEW.lead_id);
BEGIN
    IF reason IS NULL THEN
        RETURN NULL;
    END IF;
    -- In a part that no other session writes: it does so in the order of its jobs, not of their campaigns.
    PERFORM mailworkers.suppress_jobs(ARRAY[NEW.id], NEW.lead_id, reason, -65 - pg_backend_pid());
    IF NEW.attempts > OLD.attempts THEN
        -- Rows of this transaction: nobody is waited for.
        UPDATE mailworkers.email_retry_jobs SET next_try_at = NULL
        WHERE job_id = NEW.id AND created_at = now() AND attempt = NEW.attempts;
        UPDATE mailworkers.worker_metrics SET retried = retried - 1
        WHERE minute = date_trunc('minute', now()) AND daemon_id = OLD.daemon_id AND retried > 0;
    END IF;
    RETURN NULL;
END
$$;

-- ---------------------------------------------------------------- a mail of a campaign that was paused by hand

-- It waits in no front. Cancelling ends it, and an edit changes it, as all that nobody has claimed.
ALTER FUNCTION mailworkers.lock_campaign_jobs(bigint, integer) RENAME TO lock_campaign_fronts;

-- Index email_jobs_paused after those of the fronts: few are paused by hand, of all campaigns together.
CREATE FUNCTION mailworkers.lock_campaign_jobs(campaign bigint, most integer) RETURNS SETOF bigint
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    locked constant bigint[] := ARRAY(SELECT mailworkers.lock_campaign_fronts(campaign, most));
BEGIN
    RETURN QUERY SELECT unnest(locked);
    most := most - cardinality(locked);
    IF most > 0 THEN
        RETURN QUERY SELECT job.id FROM mailworkers.email_jobs AS job
            WHERE job.status = 'paused' AND job.lead_id IS NOT NULL AND job.campaign_id = campaign
            ORDER BY job.id LIMIT most
            FOR UPDATE SKIP LOCKED;
    END IF;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.lock_campaign_jobs(bigint, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailworkers.lock_campaign_jobs(bigint, integer) TO mailworkers_worker;

-- ---------------------------------------------------------------- a campaign whose start was taken away

-- It is a draft again, as one that was made without a start, and does not wait for a moment that never comes.
CREATE FUNCTION mailworkers.back_to_draft() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    NEW.status := 'draft';
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.back_to_draft() FROM PUBLIC;
CREATE TRIGGER back_to_draft BEFORE UPDATE OF status, start_at ON mailworkers.campaign_sends
    FOR EACH ROW WHEN (NEW.status = 'scheduled' AND NEW.start_at IS NULL) EXECUTE FUNCTION mailworkers.back_to_draft();
UPDATE mailworkers.campaign_sends SET status = 'draft' WHERE status = 'scheduled' AND start_at IS NULL;

-- ---------------------------------------------------------------- a mail that a person brings back

-- Whether a lead gets mail, until this transaction ends: whoever changes it meanwhile commits after, and finds its mails.
CREATE FUNCTION mailworkers.gets_mail(workspace text, lead bigint) RETURNS boolean
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('mailworkers.leads ' || workspace, 0));
    RETURN mailworkers.why_no_mail(workspace, lead) IS NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.gets_mail(text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailworkers.gets_mail(text, bigint), mailworkers.why_no_mail(text, bigint) TO mailworkers_worker;
