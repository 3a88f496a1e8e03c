-- Limits that a person sets while daemons run, and the rates that daemons learn from what relays answer.

-- A short wait for whoever changes destination groups just now: nothing on the way of a mail waits behind this.
SET LOCAL lock_timeout = '5s';

CREATE TABLE mailworkers.limit_settings (
    seconds    double precision,
    floor      double precision,
    changed_at timestamptz NOT NULL DEFAULT now(),
    tokens     integer,
    burst      integer,
    scope      text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    PRIMARY KEY (scope, name),
    CONSTRAINT "scope must be system, provider, workspace, destination, lane or worker"
        CHECK (scope IN ('system', 'provider', 'workspace', 'destination', 'lane', 'worker')),
    CONSTRAINT "name must be one line of 1 to 200 characters" CHECK (length(name) BETWEEN 1 AND 200 AND mailworkers.is_one_line(name)),
    CONSTRAINT "tokens and seconds are given together, above 0; both NULL for no limit"
        CHECK ((tokens IS NULL) = (seconds IS NULL) AND tokens >= 1 AND seconds > 0 AND seconds <= 86400 * 31),
    CONSTRAINT "burst must be at least 1 and at most half of tokens" CHECK (burst >= 1 AND (burst = 1 OR burst <= tokens / 2)),
    CONSTRAINT "floor must be above 0 mails a second" CHECK (floor > 0 AND floor < 'infinity')
);
COMMENT ON TABLE mailworkers.limit_settings IS
    'Limits beside those of the settings, in force within a second. name is whose, or * for each of the scope without a row of its own.';
COMMENT ON COLUMN mailworkers.limit_settings.tokens IS 'Mails in any window of so many seconds; NULL: no limit, whatever * says.';
COMMENT ON COLUMN mailworkers.limit_settings.floor IS 'Mails a second below which no rate is learned.';

CREATE TABLE mailworkers.limit_changes (
    version   bigint NOT NULL DEFAULT 1,
    there_is_one boolean PRIMARY KEY DEFAULT true CHECK (there_is_one)
);
INSERT INTO mailworkers.limit_changes DEFAULT VALUES;
COMMENT ON TABLE mailworkers.limit_changes IS 'One row: its version grows with each change, so that daemons read limits only then.';

CREATE FUNCTION mailworkers.limits_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE mailworkers.limit_changes SET version = version + 1;
    PERFORM pg_notify(TG_TABLE_SCHEMA || '_limits', '');
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.limits_changed() FROM PUBLIC;
CREATE TRIGGER limits_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mailworkers.limit_settings
    FOR EACH STATEMENT EXECUTE FUNCTION mailworkers.limits_changed();
CREATE TRIGGER limits_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON mailworkers.destination_groups
    FOR EACH STATEMENT EXECUTE FUNCTION mailworkers.limits_changed();

CREATE TABLE mailworkers.learned_rates (
    rate        double precision NOT NULL,
    good        double precision,
    since       timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    rests_until timestamptz NOT NULL DEFAULT now(),
    strikes     integer NOT NULL DEFAULT 0,
    scope       text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    instance    text COLLATE "C" NOT NULL,
    reason      text NOT NULL DEFAULT '',
    PRIMARY KEY (scope, name, instance),
    CONSTRAINT "rate must be above 0 mails a second" CHECK (rate > 0 AND rate < 'infinity')
) WITH (
    -- Rewritten once a second while it is in force, and never by its key.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);
COMMENT ON TABLE mailworkers.learned_rates IS
    'What each daemon found out that a relay takes of a lane, or takes at all. Together they are the rate of that lane.';
COMMENT ON COLUMN mailworkers.learned_rates.rate IS 'Mails a second that this daemon sends now.';
COMMENT ON COLUMN mailworkers.learned_rates.good IS 'The rate at which the relay last began to refuse; NULL: not known yet.';
COMMENT ON COLUMN mailworkers.learned_rates.instance IS 'The daemon: its instance name and number, the same after a restart.';

GRANT SELECT, INSERT, UPDATE, DELETE ON mailworkers.limit_settings, mailworkers.learned_rates TO mailworkers_worker;
GRANT SELECT ON mailworkers.limit_changes TO mailworkers_worker;
GRANT SELECT ON mailworkers.limit_settings, mailworkers.learned_rates, mailworkers.limit_changes TO mailworkers_readonly;
