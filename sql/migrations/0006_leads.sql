-- Leads: whom a workspace may write to, in which lists, and the imports that brought them.

CREATE TABLE mailworkers.leads (
    id           bigint GENERATED ALWAYS AS IDENTITY,
    import_id    bigint,
    created_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    workspace_id text COLLATE "C" NOT NULL DEFAULT 'default',
    email        text COLLATE "C" NOT NULL,
    status       text NOT NULL DEFAULT 'active',
    name         text,
    data         jsonb NOT NULL DEFAULT '{}',
    -- By workspace and in order, which is how a campaign walks; a lead is always asked for with its workspace.
    PRIMARY KEY (workspace_id, id),

    -- Checked for millions of rows in a row, so only with what costs next to nothing; `add_lead` and the import say more.
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND strpos(workspace_id, E'\n') = 0 AND strpos(workspace_id, E'\r') = 0),
    CONSTRAINT "email must be one address, as in ann@example.org"
        CHECK (email LIKE '_%@_%' AND octet_length(email) <= 254 AND strpos(email, ' ') = 0 AND strpos(email, E'\n') = 0),
    CONSTRAINT "name must be one line of at most 1000 characters"
        CHECK (length(name) <= 1000 AND strpos(name, E'\n') = 0 AND strpos(name, E'\r') = 0),
    CONSTRAINT "data must be a JSON object" CHECK (jsonb_typeof(data) = 'object'),
    CONSTRAINT "status must be active, unsubscribed, bounced, complained or suppressed"
        CHECK (status IN ('active', 'unsubscribed', 'bounced', 'complained', 'suppressed'))
) WITH (
    fillfactor = 90,  -- an update of data or status finds room beside the old row
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_analyze_scale_factor = 0.05
);
-- POSIX compares as C does, but is another collation to the planner: who looks for addresses names it, and then no other index can
-- serve, whatever the statistics say. While a first import runs they say nothing, and the primary key would look as good.
CREATE UNIQUE INDEX "email is a lead of this workspace already" ON mailworkers.leads (email, workspace_id COLLATE "POSIX");
COMMENT ON COLUMN mailworkers.leads.email IS
    'Normalized: the local part as written, the domain in lower case and as A-labels (xn--…), so that one mailbox is one row.';
COMMENT ON COLUMN mailworkers.leads.data IS 'Merge variables: every other column of the file, named in lower case with underscores.';
COMMENT ON COLUMN mailworkers.leads.import_id IS 'The import that wrote it last.';

CREATE TABLE mailworkers.lead_lists (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at   timestamptz NOT NULL DEFAULT now(),
    workspace_id text COLLATE "C" NOT NULL DEFAULT 'default',
    name         text COLLATE "C" NOT NULL,
    CONSTRAINT "this workspace has a list of this name already" UNIQUE (workspace_id, name),
    CONSTRAINT "workspace_id must be one line of 1 to 100 characters"
        CHECK (length(workspace_id) BETWEEN 1 AND 100 AND mailworkers.is_one_line(workspace_id)),
    CONSTRAINT "name must be one line of 1 to 200 characters"
        CHECK (length(name) BETWEEN 1 AND 200 AND mailworkers.is_one_line(name))
);

CREATE TABLE mailworkers.lead_list_members (
    list_id bigint NOT NULL,
    lead_id bigint NOT NULL,
    PRIMARY KEY (list_id, lead_id)
);

-- ---------------------------------------------------------------- imports

CREATE TABLE mailworkers.lead_imports (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    list_id      bigint,
    started_at   timestamptz NOT NULL DEFAULT now(),
    updated_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz,
    bytes_total  bigint,
    bytes_read   bigint NOT NULL DEFAULT 0,
    chunks       bigint NOT NULL DEFAULT 0,
    last_line    bigint NOT NULL DEFAULT 0,
    rows         bigint NOT NULL DEFAULT 0,
    accepted     bigint NOT NULL DEFAULT 0,
    updated      bigint NOT NULL DEFAULT 0,
    kept         bigint NOT NULL DEFAULT 0,
    duplicates   bigint NOT NULL DEFAULT 0,
    refused      bigint NOT NULL DEFAULT 0,
    workspace_id text COLLATE "C" NOT NULL,
    fingerprint  text COLLATE "C" NOT NULL,
    status       text NOT NULL DEFAULT 'running',
    on_existing  text NOT NULL,
    list         text,
    source       text NOT NULL,
    mapping      jsonb NOT NULL DEFAULT '{}',
    digest       bytea,
    CONSTRAINT "status must be running, interrupted or finished" CHECK (status IN ('running', 'interrupted', 'finished')),
    CONSTRAINT "on_existing must be update or keep" CHECK (on_existing IN ('update', 'keep')),
    CONSTRAINT "every row has one outcome" CHECK (rows = accepted + updated + kept + duplicates + refused)
) WITH (fillfactor = 50);
-- What the same command goes on with.
CREATE INDEX lead_imports_unfinished ON mailworkers.lead_imports (workspace_id, fingerprint) WHERE status <> 'finished';
COMMENT ON COLUMN mailworkers.lead_imports.chunks IS 'Committed so far: the fence by which a chunk is counted once.';
COMMENT ON COLUMN mailworkers.lead_imports.digest IS 'Of all lines up to last_line: an import goes on only with the same text.';

CREATE TABLE mailworkers.lead_import_batches (
    import_id    bigint NOT NULL,
    chunk        bigint NOT NULL,
    first_line   bigint NOT NULL,
    last_line    bigint NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT now(),
    rows         integer NOT NULL,
    accepted     integer NOT NULL,
    updated      integer NOT NULL,
    kept         integer NOT NULL,
    duplicates   integer NOT NULL,
    refused      integer NOT NULL,
    PRIMARY KEY (import_id, chunk)
);

CREATE TABLE mailworkers.lead_import_rejects (
    import_id bigint NOT NULL,
    line      bigint NOT NULL,
    email     text NOT NULL,
    reason    text NOT NULL,
    PRIMARY KEY (import_id, line)
);

-- ---------------------------------------------------------------- one lead, by SQL

CREATE FUNCTION mailworkers.add_lead(
    email text, name text DEFAULT NULL, data jsonb DEFAULT '{}', workspace_id text DEFAULT 'default',
    list text DEFAULT NULL, on_existing text DEFAULT 'update'
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    written constant text := btrim(add_lead.email, E' \t\r\n');
    local_part constant text := split_part(written, '@', 1);
    domain constant text := lower(split_part(written, '@', 2));
    normalized text;
    lead bigint;
    listed bigint;
BEGIN
    IF written IS NULL OR written !~ '^[^@]+@[^@]+$' THEN
        RAISE check_violation USING MESSAGE = 'email must be one address with one @, as in ann@example.org';
    ELSIF domain ~ '[^\u0001-\u007f]' THEN
        RAISE check_violation USING MESSAGE = 'email must have its domain in ASCII',
            HINT = 'Write an internationalized domain as xn--…, or use `mailworkers leads import`, which converts it.';
    ELSIF NOT mailworkers.is_address(written) OR octet_length(written) > 254 THEN
        RAISE check_violation USING MESSAGE = 'email must be plain before its @ and have a valid domain after it, as in ann@example.org';
    ELSIF domain !~ '\..*[a-z]$' THEN
        RAISE check_violation USING MESSAGE = 'email must have a public domain such as example.org after its @';
    ELSIF add_lead.on_existing IS NULL OR add_lead.on_existing NOT IN ('update', 'keep') THEN
        RAISE check_violation USING MESSAGE = 'on_existing must be ''update'' or ''keep''';
    ELSIF NOT mailworkers.is_one_line(add_lead.name) THEN
        RAISE check_violation USING MESSAGE = 'name must be one line: no CR, LF or control characters';
    ELSIF NOT mailworkers.is_one_line(add_lead.workspace_id) THEN
        RAISE check_violation USING MESSAGE = 'workspace_id must be one line of 1 to 100 characters';
    ELSIF octet_length(add_lead.data::text) > 1024 * 1024 THEN
        RAISE check_violation USING MESSAGE = 'data is limited to 1 MB';
    END IF;
    -- The mailboxes of RFC 2142 are the same in any case.
    normalized := CASE WHEN lower(local_part) IN ('info', 'marketing', 'sales', 'support', 'abuse', 'noc', 'security', 'postmaster',
        'hostmaster', 'usenet', 'news', 'webmaster', 'www', 'uucp', 'ftp') THEN lower(local_part) ELSE local_part END || '@' || domain;

    INSERT INTO mailworkers.leads AS known (workspace_id, email, name, data)
    VALUES (add_lead.workspace_id, normalized, nullif(add_lead.name, ''), coalesce(add_lead.data, '{}'))
    ON CONFLICT (email, workspace_id) DO UPDATE
        SET name = coalesce(excluded.name, known.name), data = known.data || excluded.data, updated_at = now()
        WHERE add_lead.on_existing = 'update'
    RETURNING id INTO lead;
    IF lead IS NULL THEN
        SELECT id INTO lead FROM mailworkers.leads AS known
        WHERE known.email = normalized COLLATE "C" AND known.workspace_id = add_lead.workspace_id COLLATE "POSIX";
    END IF;

    IF add_lead.list IS NOT NULL THEN
        SELECT id INTO listed FROM mailworkers.lead_lists AS known
        WHERE known.workspace_id = add_lead.workspace_id COLLATE "C" AND known.name = add_lead.list COLLATE "C";
        IF listed IS NULL THEN
            INSERT INTO mailworkers.lead_lists AS known (workspace_id, name) VALUES (add_lead.workspace_id, add_lead.list)
            ON CONFLICT (workspace_id, name) DO UPDATE SET name = known.name RETURNING id INTO listed;
        END IF;
        INSERT INTO mailworkers.lead_list_members (list_id, lead_id) VALUES (listed, lead) ON CONFLICT DO NOTHING;
    END IF;
    RETURN lead;
END
$$;
COMMENT ON FUNCTION mailworkers.add_lead(text, text, jsonb, text, text, text) IS
    'Add a lead, or change the one that the workspace has with this address; put it on a list; its id.';
REVOKE ALL ON FUNCTION mailworkers.add_lead(text, text, jsonb, text, text, text) FROM PUBLIC;

-- ---------------------------------------------------------------- who may do what

-- Applications add leads by the function alone: it normalizes, so that nobody gets two mails.
GRANT EXECUTE ON FUNCTION mailworkers.add_lead(text, text, jsonb, text, text, text) TO mailworkers_app, mailworkers_worker;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON mailworkers.leads, mailworkers.lead_lists, mailworkers.lead_list_members, mailworkers.lead_imports,
       mailworkers.lead_import_batches, mailworkers.lead_import_rejects TO mailworkers_worker;
GRANT USAGE ON SEQUENCE mailworkers.leads_id_seq, mailworkers.lead_lists_id_seq, mailworkers.lead_imports_id_seq TO mailworkers_worker;
GRANT SELECT
    ON mailworkers.leads, mailworkers.lead_lists, mailworkers.lead_list_members, mailworkers.lead_imports,
       mailworkers.lead_import_batches, mailworkers.lead_import_rejects TO mailworkers_readonly;
