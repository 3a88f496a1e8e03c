-- The record: what became of each job, by month.

CREATE TABLE mailworkers.email_sends (
    job_id        bigint NOT NULL,
    campaign_id   bigint,
    created_at    timestamptz NOT NULL,
    scheduled_at  timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL DEFAULT now(),
    attempts      smallint NOT NULL,
    reply_code    smallint,
    workspace_id  text COLLATE "C" NOT NULL,
    job_type      text NOT NULL,
    status        text NOT NULL,
    to_email      text,
    subject       text,
    message_id    text,
    enhanced_code text,
    reply         text,
    refused       jsonb,
    content       jsonb,
    PRIMARY KEY (job_id, finished_at),
    CONSTRAINT "status must be one of the ends of a job"
        CHECK (status IN ('sent', 'failed', 'abandoned', 'cancelled', 'suppressed', 'unknown'))
) PARTITION BY RANGE (finished_at);
CREATE INDEX email_sends_not_sent ON mailworkers.email_sends (finished_at) WHERE status <> 'sent';
COMMENT ON COLUMN mailworkers.email_sends.content IS
    'The whole job, kept only where it was not sent, so that a person can have it tried again.';

CREATE TABLE mailworkers.email_retry_jobs (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    job_id        bigint NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    next_try_at   timestamptz,
    attempt       smallint NOT NULL,
    code          smallint,
    workspace_id  text COLLATE "C" NOT NULL,
    class         text NOT NULL,
    stage         text,
    enhanced_code text,
    text          text NOT NULL,
    PRIMARY KEY (job_id, created_at, id),
    CONSTRAINT "class must be provider, network, data or system"
        CHECK (class IN ('provider', 'network', 'data', 'system'))
) PARTITION BY RANGE (created_at);
CREATE INDEX email_retry_jobs_recent ON mailworkers.email_retry_jobs (created_at);

-- Rows that no month's partition takes are not lost: they wait here, and /health warns.
CREATE TABLE mailworkers.email_sends_default PARTITION OF mailworkers.email_sends DEFAULT;
CREATE TABLE mailworkers.email_retry_jobs_default PARTITION OF mailworkers.email_retry_jobs DEFAULT;

CREATE FUNCTION mailworkers.make_partitions(parent text, months_ahead integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    key_column constant text := CASE parent WHEN 'email_sends' THEN 'finished_at' WHEN 'email_retry_jobs' THEN 'created_at' END;
    begins timestamptz;
    made integer := 0;
    part text;
BEGIN
    IF key_column IS NULL THEN
        RAISE EXCEPTION 'there is no partitioned table %', parent;
    END IF;
    FOR begins IN SELECT generate_series(date_trunc('month', now()), date_trunc('month', now()) + months_ahead * interval '1 month', interval '1 month') LOOP
        part := format('%s_%s', parent, to_char(begins, 'YYYY_MM'));
        CONTINUE WHEN to_regclass(format('mailworkers.%I', part)) IS NOT NULL;
        EXECUTE format('CREATE TABLE mailworkers.%I (LIKE mailworkers.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, parent);
        EXECUTE format(
            'WITH strays AS (DELETE FROM mailworkers.%I WHERE %I >= $1 AND %I < $2 RETURNING *) INSERT INTO mailworkers.%I SELECT * FROM strays',
            parent || '_default', key_column, key_column, part) USING begins, begins + interval '1 month';
        EXECUTE format('ALTER TABLE mailworkers.%I ATTACH PARTITION mailworkers.%I FOR VALUES FROM (%L) TO (%L)',
            parent, part, begins, begins + interval '1 month');
        made := made + 1;
    END LOOP;
    RETURN made;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.make_partitions(text, integer) FROM PUBLIC;

CREATE FUNCTION mailworkers.drop_partitions(parent text, keep_months integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp
    SET timezone = 'UTC' SET lock_timeout = '3s' AS $$
DECLARE
    oldest constant text := to_char(date_trunc('month', now()) - keep_months * interval '1 month', 'YYYY_MM');
    part text;
    dropped integer := 0;
BEGIN
    IF parent NOT IN ('email_sends', 'email_retry_jobs') OR keep_months < 1 THEN
        RAISE EXCEPTION 'only email_sends and email_retry_jobs have partitions, and at least one month is kept';
    END IF;
    FOR part IN
        SELECT child.relname FROM pg_inherits JOIN pg_class AS child ON child.oid = inhrelid
        WHERE inhparent = format('mailworkers.%I', parent)::regclass AND child.relname ~ (parent || '_\d{4}_\d\d$')
          AND right(child.relname, 7) < oldest
    LOOP
        EXECUTE format('DROP TABLE mailworkers.%I', part);
        dropped := dropped + 1;
    END LOOP;
    EXECUTE format('DELETE FROM mailworkers.%I WHERE %I < date_trunc(''month'', now()) - $1 * interval ''1 month''',
        parent || '_default', CASE parent WHEN 'email_sends' THEN 'finished_at' ELSE 'created_at' END) USING keep_months;
    RETURN dropped;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.drop_partitions(text, integer) FROM PUBLIC;

SELECT mailworkers.make_partitions('email_sends', 2), mailworkers.make_partitions('email_retry_jobs', 2);

CREATE VIEW mailworkers.email_job_status AS
    SELECT id AS job_id, workspace_id, campaign_id, job_type, to_email, status, attempts, last_reply AS reply,
           NULL::text AS message_id, created_at, scheduled_at, NULL::timestamptz AS finished_at
    FROM mailworkers.email_jobs
    UNION ALL
    SELECT job_id, workspace_id, campaign_id, job_type, to_email, status, attempts, reply,
           message_id, created_at, scheduled_at, finished_at
    FROM mailworkers.email_sends;

GRANT SELECT ON mailworkers.email_job_status TO mailworkers_app;
GRANT EXECUTE ON FUNCTION mailworkers.make_partitions(text, integer), mailworkers.drop_partitions(text, integer)
    TO mailworkers_worker;
