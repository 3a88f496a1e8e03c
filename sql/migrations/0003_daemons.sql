-- Daemons: their leases, their workers and their figures; and what the other roles may do with all tables so far.

CREATE TABLE mailworkers.email_daemons (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    started_at   timestamptz NOT NULL DEFAULT now(),
    renewed_at   timestamptz NOT NULL DEFAULT now(),
    lease_until  timestamptz NOT NULL,
    suspected_at timestamptz,
    ended_at     timestamptz,
    pid          integer NOT NULL,
    ordinal      smallint NOT NULL,
    session_lock boolean NOT NULL,
    instance     text NOT NULL,
    host         text NOT NULL,
    version      text NOT NULL,
    ended_why    text
);
CREATE INDEX email_daemons_ended ON mailworkers.email_daemons (ended_at);
COMMENT ON COLUMN mailworkers.email_daemons.ordinal IS
    'Tells daemons of one instance name apart; a restarted one takes its old number again, and with it its rate limits.';

CREATE TABLE mailworkers.email_workers (
    daemon_id    bigint NOT NULL,
    slot         smallint NOT NULL,
    name         text NOT NULL,
    state        text NOT NULL,
    sent         bigint NOT NULL DEFAULT 0,
    failed       bigint NOT NULL DEFAULT 0,
    connected_at timestamptz,
    updated_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (daemon_id, slot),
    CONSTRAINT "state must be one of a worker's"
        CHECK (state IN ('starting', 'idle', 'sending', 'waiting', 'stopping', 'stopped'))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE mailworkers.worker_metrics (
    minute    timestamptz NOT NULL,
    daemon_id bigint NOT NULL,
    sent      bigint NOT NULL DEFAULT 0,
    failed    bigint NOT NULL DEFAULT 0,
    abandoned bigint NOT NULL DEFAULT 0,
    unknown   bigint NOT NULL DEFAULT 0,
    retried   bigint NOT NULL DEFAULT 0,
    snoozed   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, daemon_id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA mailworkers TO mailworkers_worker;
REVOKE INSERT, UPDATE, DELETE ON mailworkers.schema_migrations FROM mailworkers_worker;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA mailworkers TO mailworkers_worker;

GRANT SELECT ON ALL TABLES IN SCHEMA mailworkers TO mailworkers_readonly;
