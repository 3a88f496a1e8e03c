-- Lanes: to which mailbox provider a mail goes, whose weight counts how much, and an index in which each campaign has a front.

-- What comes next needs the table to itself. Whoever holds it for longer is not waited for: inserts would wait behind this.
SET LOCAL lock_timeout = '5s';
LOCK TABLE mailworkers.email_jobs IN ACCESS EXCLUSIVE MODE;

-- ---------------------------------------------------------------- where mails go

CREATE TABLE mailworkers.destination_groups (
    name         text COLLATE "C" PRIMARY KEY,
    title        text NOT NULL,
    rate_tokens  integer,
    rate_seconds double precision,
    connections  integer,
    source       text,
    CONSTRAINT "name: 1 to 60 lower case letters, digits and hyphens" CHECK (name ~ '^[a-z0-9][a-z0-9-]{0,59}$'),
    CONSTRAINT "title must be one line of 1 to 100 characters"
        CHECK (length(title) BETWEEN 1 AND 100 AND mailworkers.is_one_line(title)),
    CONSTRAINT "rate_tokens and rate_seconds are given together, above 0"
        CHECK ((rate_tokens IS NULL) = (rate_seconds IS NULL) AND rate_tokens > 0 AND rate_seconds > 0 AND rate_seconds < 'infinity'),
    CONSTRAINT "connections must be at least 1" CHECK (connections >= 1)
);
COMMENT ON TABLE mailworkers.destination_groups IS
    'Mailbox providers with limits of their own. All that go elsewhere are one group without a row, named by the empty string.';
COMMENT ON COLUMN mailworkers.destination_groups.rate_tokens IS 'Mails in rate_seconds that the provider publishes; NULL: none.';
COMMENT ON COLUMN mailworkers.destination_groups.source IS 'Where that is written.';

CREATE TABLE mailworkers.destination_domains (
    domain            text COLLATE "C" PRIMARY KEY,
    destination_group text COLLATE "C" NOT NULL,
    found             text NOT NULL DEFAULT 'set',
    checked_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "domain must be in lower case" CHECK (domain = lower(domain) AND mailworkers.is_mail_domain(domain)),
    CONSTRAINT "found must be shipped, set or mx" CHECK (found IN ('shipped', 'set', 'mx'))
);
COMMENT ON COLUMN mailworkers.destination_domains.found IS
    'shipped: with the program; set: by a person; mx: by where the domain has its mail exchangers.';

CREATE TABLE mailworkers.destination_mx (
    suffix            text COLLATE "C" PRIMARY KEY,
    destination_group text COLLATE "C" NOT NULL,
    CONSTRAINT "suffix must be in lower case" CHECK (suffix = lower(suffix) AND mailworkers.is_mail_domain(suffix))
);
COMMENT ON TABLE mailworkers.destination_mx IS 'Whose mail exchangers end so, has its mailboxes with this provider.';

INSERT INTO mailworkers.destination_groups (name, title) VALUES
    ('apple', 'Apple iCloud'), ('google', 'Google'), ('microsoft', 'Microsoft'), ('united-internet', 'GMX and WEB.DE'),
    ('yahoo', 'Yahoo');
INSERT INTO mailworkers.destination_domains (domain, destination_group, found) VALUES
    ('gmail.com', 'google', 'shipped'), ('googlemail.com', 'google', 'shipped'),
    ('outlook.com', 'microsoft', 'shipped'), ('hotmail.com', 'microsoft', 'shipped'), ('live.com', 'microsoft', 'shipped'),
    ('msn.com', 'microsoft', 'shipped'),
    ('yahoo.com', 'yahoo', 'shipped'), ('yahoo.de', 'yahoo', 'shipped'), ('yahoo.fr', 'yahoo', 'shipped'),
    ('yahoo.co.uk', 'yahoo', 'shipped'), ('ymail.com', 'yahoo', 'shipped'), ('aol.com', 'yahoo', 'shipped'),
    ('icloud.com', 'apple', 'shipped'), ('me.com', 'apple', 'shipped'), ('mac.com', 'apple', 'shipped'),
    ('gmx.de', 'united-internet', 'shipped'), ('gmx.net', 'united-internet', 'shipped'), ('gmx.at', 'united-internet', 'shipped'),
    ('gmx.ch', 'united-internet', 'shipped'), ('gmx.com', 'united-internet', 'shipped'), ('web.de', 'united-internet', 'shipped');

-- For whoever does not know the group, which no application does. What is not known yet goes to the group of all others.
-- By the index even where the table is one page: to set up a scan costs an insert three times as much.
CREATE FUNCTION mailworkers.find_destination_group() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    NEW.destination_group := coalesce((
        SELECT known.destination_group FROM mailworkers.destination_domains AS known
        WHERE known.domain = lower(split_part(NEW.to_email, '@', 2) COLLATE "C")
    ), '');
    RETURN NEW;
END
$$;
REVOKE ALL ON FUNCTION mailworkers.find_destination_group() FROM PUBLIC;

ALTER TABLE mailworkers.email_jobs ALTER COLUMN destination_group DROP DEFAULT;
CREATE TRIGGER find_destination_group BEFORE INSERT ON mailworkers.email_jobs
    FOR EACH ROW WHEN (NEW.destination_group IS NULL) EXECUTE FUNCTION mailworkers.find_destination_group();

-- ---------------------------------------------------------------- fronts

-- Of a campaign's mail: set by what makes its mails, never by an application, which may use campaign_id as it likes.
ALTER TABLE mailworkers.email_jobs ADD COLUMN lead_id bigint,
    ADD CONSTRAINT "a mail that was made from a lead has its campaign_id"
        CHECK (lead_id IS NULL OR (lead_id > 0 AND campaign_id IS NOT NULL)) NOT VALID;  -- no row has one yet

-- What may be claimed, front by front: a lane is (workspace_id, destination_group), a front one priority and campaign of it.
-- Any number of jobs of a campaign that is held costs a claim one look, as any number of jobs for later does. What an
-- application groups by campaign_id, be it each mail by itself, has no fronts of its own.
DROP INDEX mailworkers.email_jobs_ready;
CREATE INDEX email_jobs_ready ON mailworkers.email_jobs
    (workspace_id, destination_group, priority, (CASE WHEN lead_id > 0 THEN campaign_id ELSE 0 END), scheduled_at, id)
    WHERE status IN ('waiting', 'retrying');

-- ---------------------------------------------------------------- whose mail

CREATE TABLE mailworkers.workspaces (
    workspace_id text COLLATE "C" PRIMARY KEY,
    weight       real NOT NULL DEFAULT 1,
    paused_at    timestamptz,
    why          text,
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id)),
    CONSTRAINT "weight must be between 0.01 and 100" CHECK (weight BETWEEN 0.01 AND 100),
    CONSTRAINT "why must be one line of at most 200 characters" CHECK (length(why) <= 200 AND mailworkers.is_one_line(why))
);
COMMENT ON TABLE mailworkers.workspaces IS 'Those that are treated specially. All others have weight 1 and are not paused.';
COMMENT ON COLUMN mailworkers.workspaces.weight IS 'Its share of the mails of one priority, against the others that have work there.';
CREATE INDEX workspaces_paused ON mailworkers.workspaces (workspace_id) WHERE paused_at IS NOT NULL;

GRANT SELECT, INSERT, UPDATE, DELETE
    ON mailworkers.destination_groups, mailworkers.destination_domains, mailworkers.destination_mx, mailworkers.workspaces
    TO mailworkers_worker;
GRANT SELECT
    ON mailworkers.destination_groups, mailworkers.destination_domains, mailworkers.destination_mx, mailworkers.workspaces
    TO mailworkers_readonly;
