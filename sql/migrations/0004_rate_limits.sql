-- The ledger of the token buckets: one row a bucket, shared by all daemons, so that together they keep each limit.

CREATE TABLE mailworkers.worker_rate_limits (
    tokens     double precision NOT NULL,
    capacity   double precision NOT NULL,
    rate       double precision NOT NULL,
    updated_at timestamptz NOT NULL,
    scope      text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    period     text COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, name, period),
    CONSTRAINT "tokens must be between 0 and capacity" CHECK (tokens >= 0 AND tokens <= capacity),
    CONSTRAINT "capacity must be at least one token" CHECK (capacity >= 1 AND capacity < 'infinity'),
    CONSTRAINT "rate must be above 0 tokens a second" CHECK (rate > 0 AND rate < 'infinity')
) WITH (
    -- A busy bucket is updated many times a second and never changes its key: all of it stays within its page.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE mailworkers.worker_rate_limits IS
    'Token buckets. scope is system, workspace or worker; name is whose; period is second, minute or hour.';
COMMENT ON COLUMN mailworkers.worker_rate_limits.tokens IS
    'What could be leased at updated_at; since then it grows by rate a second up to capacity.';
COMMENT ON COLUMN mailworkers.worker_rate_limits.rate IS
    'Tokens a second, safety buffer already taken off.';

GRANT SELECT, INSERT, UPDATE, DELETE ON mailworkers.worker_rate_limits TO mailworkers_worker;
GRANT SELECT ON mailworkers.worker_rate_limits TO mailworkers_readonly;
