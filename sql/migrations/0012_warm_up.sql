-- Warm-up: how many mails a new sender may send on each of its first days, and how many it has sent.

-- ---------------------------------------------------------------- schedules

CREATE TABLE mailworkers.warmup_schedules (
    name       text COLLATE "C" PRIMARY KEY,
    title      text NOT NULL,
    source     text,
    shipped    boolean NOT NULL DEFAULT false,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT "name: 1 to 100 letters, digits, dots, hyphens, underscores"
        CHECK (name ~ '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$'),
    CONSTRAINT "title must be one line of 1 to 200 characters"
        CHECK (length(title) BETWEEN 1 AND 200 AND mailworkers.is_one_line(title)),
    CONSTRAINT "source must be one line of at most 500 characters"
        CHECK (length(source) <= 500 AND mailworkers.is_one_line(source))
);
COMMENT ON COLUMN mailworkers.warmup_schedules.source IS 'Where its figures were published, and what was worked out from them.';

CREATE TABLE mailworkers.warmup_quotas (
    quota             bigint NOT NULL,
    day               integer NOT NULL,
    schedule          text COLLATE "C" NOT NULL REFERENCES mailworkers.warmup_schedules ON DELETE CASCADE,
    destination_group text COLLATE "C" NOT NULL DEFAULT '*',
    PRIMARY KEY (schedule, destination_group, day),
    CONSTRAINT "day must be between 1 and 1000" CHECK (day BETWEEN 1 AND 1000),
    CONSTRAINT "quota must be between 0 and 1000000000000" CHECK (quota BETWEEN 0 AND 1000000000000),
    CONSTRAINT "destination_group must be one line of 1 to 100 characters"
        CHECK (length(destination_group) BETWEEN 1 AND 100 AND mailworkers.is_one_line(destination_group))
);
COMMENT ON TABLE mailworkers.warmup_quotas IS
    'Mails a day. A day without a row has the quota of the last one before it; after the schedule''s last day nothing is limited.';
COMMENT ON COLUMN mailworkers.warmup_quotas.destination_group IS
    '''*'': all mail together that goes to groups without rows of their own in this schedule.';

-- ---------------------------------------------------------------- warm-ups

CREATE TABLE mailworkers.warmups (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at       timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now(),
    started_on       date NOT NULL,
    held_on          date,
    refusals_percent real NOT NULL DEFAULT 5,
    refusals_least   integer NOT NULL DEFAULT 50,
    hold_all         boolean NOT NULL DEFAULT false,
    sender           text COLLATE "C" NOT NULL,
    schedule         text COLLATE "C" NOT NULL REFERENCES mailworkers.warmup_schedules,
    time_zone        text NOT NULL,
    status           text COLLATE "C" NOT NULL DEFAULT 'running',
    why              text,
    CONSTRAINT "status must be running, paused, halted, finished or stopped"
        CHECK (status IN ('running', 'paused', 'halted', 'finished', 'stopped')),
    CONSTRAINT "refusals_percent must be above 0 and at most 100" CHECK (refusals_percent > 0 AND refusals_percent <= 100),
    CONSTRAINT "refusals_least must be at least 1" CHECK (refusals_least >= 1)
);
-- Few: what daemons read once a second.
CREATE UNIQUE INDEX "this sender is being warmed up already" ON mailworkers.warmups (sender)
    WHERE status IN ('running', 'paused', 'halted');
COMMENT ON COLUMN mailworkers.warmups.sender IS 'An address, or a domain for all addresses at it; lower case, the domain as A-labels (xn--…).';
COMMENT ON COLUMN mailworkers.warmups.started_on IS 'The date of day 1 in time_zone. Days on which it was held move it.';
COMMENT ON COLUMN mailworkers.warmups.held_on IS 'The date on which it was paused or halted.';
COMMENT ON COLUMN mailworkers.warmups.hold_all IS 'Mails without a campaign wait for the quota, too.';

CREATE TABLE mailworkers.warmup_days (
    warmup_id         bigint NOT NULL,
    quota             bigint NOT NULL,
    granted           bigint NOT NULL DEFAULT 0,
    sent              bigint NOT NULL DEFAULT 0,
    refused           bigint NOT NULL DEFAULT 0,
    judged_sent       bigint NOT NULL DEFAULT 0,
    judged_refused    bigint NOT NULL DEFAULT 0,
    on_date           date NOT NULL,
    day               integer NOT NULL,
    destination_group text COLLATE "C" NOT NULL,
    PRIMARY KEY (warmup_id, on_date, destination_group)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
COMMENT ON COLUMN mailworkers.warmup_days.granted IS
    'What daemons have leased and not handed back: an upper bound of what went out. Above quota only by mails that are not held.';
COMMENT ON COLUMN mailworkers.warmup_days.sent IS 'What the relay took, as daemons count it.';
COMMENT ON COLUMN mailworkers.warmup_days.refused IS
    'What it refused for good by policy, or because the recipient is unknown. A killed daemon does not count its last second.';
COMMENT ON COLUMN mailworkers.warmup_days.judged_sent IS 'Of sent, what a person has seen and resumed after.';

-- ---------------------------------------------------------------- days

-- Where a clock is set back at midnight, a date begins twice: the first time counts. Where one is set forward then, it begins late.
CREATE FUNCTION mailworkers.date_begins(wanted date, zone text) RETURNS timestamptz
    LANGUAGE sql STABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT min(moment)
    FROM generate_series((wanted::timestamp AT TIME ZONE zone) - interval '3 hours', (wanted::timestamp AT TIME ZONE zone)
                         + interval '3 hours', interval '15 minutes') AS moment
    WHERE (moment AT TIME ZONE zone)::date >= wanted
$$;
COMMENT ON FUNCTION mailworkers.date_begins(date, text) IS 'The first moment of a date in a time zone.';

-- ---------------------------------------------------------------- what a person may do

CREATE FUNCTION mailworkers.warm_up_sender(given text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    plain constant text := lower(btrim(given, E' \t\r\n'));
BEGIN
    IF plain IS NULL OR NOT (mailworkers.is_address(plain) OR (plain !~ '@' AND mailworkers.is_mail_domain(plain) AND plain ~ '\.')) THEN
        RAISE check_violation USING MESSAGE = format('%L is neither an address nor a domain', given),
            HINT = 'A sender is an address such as news@example.org, or a domain such as example.org for all addresses at it.';
    ELSIF plain ~ '@.*[^\u0001-\u007f]|^[^@]*[^\u0001-\u007f][^@]*$' THEN
        RAISE check_violation USING MESSAGE = format('the domain of %L must be in ASCII', given),
            HINT = 'Write an internationalized domain as xn--…, or use `mailworkers warmup start`, which converts it.';
    END IF;
    RETURN plain;
END
$$;

CREATE FUNCTION mailworkers.define_warm_up_schedule(name text, quotas jsonb, title text DEFAULT NULL, source text DEFAULT NULL)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    bad text;
    days integer;
BEGIN
    IF jsonb_typeof(quotas) IS DISTINCT FROM 'array' OR jsonb_array_length(quotas) = 0 OR EXISTS (
        SELECT FROM jsonb_array_elements(quotas) AS one WHERE jsonb_typeof(one) <> 'object'
            OR one - ARRAY['day', 'group', 'quota'] <> '{}'
            OR coalesce(one ->> 'day', '') !~ '^[0-9]{1,9}$' OR coalesce(one ->> 'quota', '') !~ '^[0-9]{1,12}$') THEN
        RAISE check_violation USING MESSAGE = 'quotas must be a list of days and whole numbers',
            HINT = 'As in [{"day": 1, "quota": 50}, {"day": 1, "group": "google", "quota": 20}, {"day": 2, "quota": 100}].';
    END IF;
    SELECT format('day %s of group %L is there twice', one ->> 'day', coalesce(one ->> 'group', '*')) INTO bad
    FROM jsonb_array_elements(quotas) AS one
    GROUP BY one ->> 'day', coalesce(one ->> 'group', '*') HAVING count(*) > 1 LIMIT 1;
    IF bad IS NULL THEN
        SELECT format('group %L must begin with day 1, not day %s', coalesce(one ->> 'group', '*'), min((one ->> 'day')::integer)) INTO bad
        FROM jsonb_array_elements(quotas) AS one
        GROUP BY coalesce(one ->> 'group', '*') HAVING min((one ->> 'day')::integer) <> 1 LIMIT 1;
    END IF;
    IF bad IS NULL AND NOT EXISTS (SELECT FROM jsonb_array_elements(quotas) AS one WHERE coalesce(one ->> 'group', '*') = '*') THEN
        bad := 'group ''*'' is missing: the quota of all mail to groups that have none of their own';
    END IF;
    IF bad IS NOT NULL THEN
        RAISE check_violation USING MESSAGE = bad, HINT = 'Give each group a quota from day 1 on; days that are left out repeat the one before.';
    END IF;
    IF EXISTS (SELECT FROM mailworkers.warmup_schedules AS known WHERE known.name = define_warm_up_schedule.name COLLATE "C" AND shipped) THEN
        RAISE check_violation USING MESSAGE = format('schedule %L is shipped and cannot be changed', define_warm_up_schedule.name),
            HINT = 'Define one of another name.';
    END IF;

    INSERT INTO mailworkers.warmup_schedules AS known (name, title, source)
    VALUES (define_warm_up_schedule.name, coalesce(define_warm_up_schedule.title, 'A table of one''s own'), define_warm_up_schedule.source)
    ON CONFLICT (name) DO UPDATE SET title = excluded.title, source = excluded.source, changed_at = now();
    DELETE FROM mailworkers.warmup_quotas WHERE schedule = define_warm_up_schedule.name COLLATE "C";
    INSERT INTO mailworkers.warmup_quotas (schedule, destination_group, day, quota)
    SELECT define_warm_up_schedule.name, coalesce(one ->> 'group', '*'), (one ->> 'day')::integer, (one ->> 'quota')::bigint
    FROM jsonb_array_elements(quotas) AS one;
    SELECT max(day) INTO days FROM mailworkers.warmup_quotas WHERE schedule = define_warm_up_schedule.name COLLATE "C";
    RETURN days;
END
$$;
COMMENT ON FUNCTION mailworkers.define_warm_up_schedule(text, jsonb, text, text) IS
    'Define a schedule, or change one; the number of its days. Warm-ups that follow it have the new quotas at once.';

CREATE FUNCTION mailworkers.start_warm_up(
    sender text, schedule text, time_zone text DEFAULT 'UTC', started_on date DEFAULT NULL, refusals_percent real DEFAULT 5,
    refusals_least integer DEFAULT 50, hold_all boolean DEFAULT false
) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    plain constant text := mailworkers.warm_up_sender(start_warm_up.sender);
    other text;
    made bigint;
BEGIN
    IF NOT EXISTS (SELECT FROM mailworkers.warmup_schedules AS known WHERE known.name = start_warm_up.schedule COLLATE "C") THEN
        RAISE check_violation USING MESSAGE = format('there is no warm-up schedule %L', start_warm_up.schedule),
            HINT = 'There are: ' || (SELECT string_agg(name, ', ' ORDER BY name) FROM mailworkers.warmup_schedules)
                || '. define_warm_up_schedule makes one of your own.';
    ELSIF NOT EXISTS (SELECT FROM pg_timezone_names AS known WHERE known.name = start_warm_up.time_zone) THEN
        RAISE check_violation USING MESSAGE = format('there is no time zone %L', start_warm_up.time_zone),
            HINT = 'Name it as in Europe/Berlin or UTC.';
    END IF;
    -- One at a time, so that an address and its domain are never started beside each other.
    PERFORM pg_advisory_xact_lock(hashtextextended('mailworkers.warm_up', 0));
    SELECT known.sender INTO other FROM mailworkers.warmups AS known
    WHERE known.status IN ('running', 'paused', 'halted')
      AND (known.sender = plain COLLATE "C" OR known.sender = split_part(plain, '@', 2) COLLATE "C"
           OR (plain !~ '@' AND split_part(known.sender, '@', 2) = plain)) LIMIT 1;
    IF other IS NOT NULL THEN
        RAISE unique_violation USING MESSAGE = format('%s is being warmed up already', other),
            HINT = CASE WHEN other = plain THEN 'Stop that warm-up first to start anew.'
                        ELSE 'A domain''s warm-up is for all addresses at it: stop one of the two.' END;
    END IF;
    INSERT INTO mailworkers.warmups (sender, schedule, time_zone, started_on, refusals_percent, refusals_least, hold_all)
    VALUES (plain, start_warm_up.schedule, start_warm_up.time_zone,
            coalesce(start_warm_up.started_on, (now() AT TIME ZONE start_warm_up.time_zone)::date),
            start_warm_up.refusals_percent, start_warm_up.refusals_least, start_warm_up.hold_all)
    RETURNING id INTO made;
    RETURN made;
END
$$;
COMMENT ON FUNCTION mailworkers.start_warm_up(text, text, text, date, real, integer, boolean) IS
    'Warm a sender up: an address, or a domain for all addresses at it. Daemons keep to it within a second.';

-- The live warm-up of a sender, locked.
CREATE FUNCTION mailworkers.live_warm_up(sender text) RETURNS mailworkers.warmups
    LANGUAGE plpgsql SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    plain constant text := mailworkers.warm_up_sender(live_warm_up.sender);
    found mailworkers.warmups;
BEGIN
    SELECT * INTO found FROM mailworkers.warmups AS known
    WHERE known.sender = plain COLLATE "C" AND known.status IN ('running', 'paused', 'halted') FOR UPDATE;
    IF found.id IS NULL THEN
        RAISE no_data_found USING MESSAGE = format('%s is not being warmed up', plain), HINT = coalesce(
            'There is: ' || (SELECT string_agg(known.sender, ', ' ORDER BY known.sender) FROM mailworkers.warmups AS known
                             WHERE known.status IN ('running', 'paused', 'halted')) || '.',
            'No sender is: start_warm_up begins.');
    END IF;
    RETURN found;
END
$$;

CREATE FUNCTION mailworkers.pause_warm_up(sender text, why text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    live constant mailworkers.warmups := mailworkers.live_warm_up(pause_warm_up.sender);
BEGIN
    UPDATE mailworkers.warmups SET status = 'paused', why = pause_warm_up.why, changed_at = now(),
        held_on = coalesce(held_on, (now() AT TIME ZONE time_zone)::date)
    WHERE id = live.id;
    RETURN live.id;
END
$$;
COMMENT ON FUNCTION mailworkers.pause_warm_up(text, text) IS 'Hold a sender''s mails until resume_warm_up. Its day does not go on meanwhile.';

CREATE FUNCTION mailworkers.resume_warm_up(sender text) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    live constant mailworkers.warmups := mailworkers.live_warm_up(resume_warm_up.sender);
BEGIN
    IF live.status = 'running' THEN
        RETURN live.id;
    END IF;
    UPDATE mailworkers.warmups SET status = 'running', why = NULL, changed_at = now(), held_on = NULL,
        started_on = started_on + greatest(0, (now() AT TIME ZONE time_zone)::date - greatest(held_on, started_on))
    WHERE id = live.id;
    UPDATE mailworkers.warmup_days SET judged_sent = sent, judged_refused = refused
    WHERE warmup_id = live.id AND (judged_sent, judged_refused) <> (sent, refused);
    RETURN live.id;
END
$$;
COMMENT ON FUNCTION mailworkers.resume_warm_up(text) IS
    'Go on with the day on which a warm-up was paused or halted. Refusals until now do not halt it again.';

CREATE FUNCTION mailworkers.stop_warm_up(sender text, why text DEFAULT NULL) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mailworkers, pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
    live constant mailworkers.warmups := mailworkers.live_warm_up(stop_warm_up.sender);
BEGIN
    UPDATE mailworkers.warmups SET status = 'stopped', why = stop_warm_up.why, changed_at = now() WHERE id = live.id;
    RETURN live.id;
END
$$;
COMMENT ON FUNCTION mailworkers.stop_warm_up(text, text) IS
    'End a warm-up before its last day: from then on nothing limits the sender. pause_warm_up holds its mails instead.';

-- ---------------------------------------------------------------- how it stands

CREATE VIEW mailworkers.warm_up_status AS
SELECT warmup.id, warmup.sender, warmup.schedule, warmup.status, warmup.why, warmup.time_zone, warmup.hold_all,
    today.on_date, today.day, days.last_day,
    groups.destination_group,
    CASE WHEN today.day < 1 THEN 0 ELSE coalesce(reached.quota, 0) END AS quota,
    coalesce(known.granted, 0) AS granted, coalesce(known.sent, 0) AS sent, coalesce(known.refused, 0) AS refused,
    mailworkers.date_begins(today.on_date + 1, warmup.time_zone) AS next_day_at
FROM mailworkers.warmups AS warmup
CROSS JOIN LATERAL (SELECT (now() AT TIME ZONE warmup.time_zone)::date AS on_date) AS here
CROSS JOIN LATERAL (
    SELECT here.on_date, CASE WHEN warmup.held_on IS NULL THEN here.on_date ELSE least(here.on_date, greatest(warmup.held_on, warmup.started_on)) END
        - warmup.started_on + 1 AS day
) AS today
CROSS JOIN LATERAL (
    SELECT max(day) AS last_day FROM mailworkers.warmup_quotas AS quota WHERE quota.schedule = warmup.schedule
) AS days
CROSS JOIN LATERAL (
    SELECT destination_group FROM mailworkers.warmup_quotas AS quota WHERE quota.schedule = warmup.schedule AND quota.day = 1
) AS groups
LEFT JOIN LATERAL (
    SELECT quota.quota FROM mailworkers.warmup_quotas AS quota
    WHERE quota.schedule = warmup.schedule AND quota.destination_group = groups.destination_group AND quota.day <= today.day
    ORDER BY quota.day DESC LIMIT 1
) AS reached ON true
LEFT JOIN mailworkers.warmup_days AS known
    ON (known.warmup_id, known.on_date, known.destination_group) = (warmup.id, today.on_date, groups.destination_group)
WHERE warmup.status IN ('running', 'paused', 'halted');
COMMENT ON VIEW mailworkers.warm_up_status IS 'Each live warm-up today, a row for each quota: what it is, and what is used of it.';

-- ---------------------------------------------------------------- who may do what

REVOKE ALL ON FUNCTION mailworkers.date_begins(date, text), mailworkers.warm_up_sender(text), mailworkers.live_warm_up(text),
    mailworkers.define_warm_up_schedule(text, jsonb, text, text), mailworkers.pause_warm_up(text, text),
    mailworkers.start_warm_up(text, text, text, date, real, integer, boolean), mailworkers.resume_warm_up(text),
    mailworkers.stop_warm_up(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION mailworkers.date_begins(date, text) TO mailworkers_app, mailworkers_worker, mailworkers_readonly;
GRANT EXECUTE ON FUNCTION
    mailworkers.define_warm_up_schedule(text, jsonb, text, text), mailworkers.pause_warm_up(text, text),
    mailworkers.start_warm_up(text, text, text, date, real, integer, boolean), mailworkers.resume_warm_up(text),
    mailworkers.stop_warm_up(text, text) TO mailworkers_app, mailworkers_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON mailworkers.warmup_days TO mailworkers_worker;
GRANT SELECT, UPDATE ON mailworkers.warmups TO mailworkers_worker;
GRANT SELECT ON mailworkers.warmup_schedules, mailworkers.warmup_quotas, mailworkers.warm_up_status TO mailworkers_worker;
GRANT SELECT ON mailworkers.warmup_schedules, mailworkers.warmup_quotas, mailworkers.warmups, mailworkers.warmup_days,
    mailworkers.warm_up_status TO mailworkers_readonly;
GRANT SELECT ON mailworkers.warm_up_status TO mailworkers_app;

-- ---------------------------------------------------------------- what providers publish, read in November 2026

INSERT INTO mailworkers.warmup_schedules (name, shipped, title, source) VALUES
    ('braze-conservative', true, 'Three weeks from 50 to 8,000 a day: for senders without a history',
     'Braze, "IP warming", Conservative: www.braze.com/docs/user_guide/message_building_by_channel/email/email_setup/ip_warming'),
    ('braze-moderate', true, 'Three weeks from 50 to 1,000,000 a day: for most senders',
     'Braze, "IP warming", Moderate: www.braze.com/docs/user_guide/message_building_by_channel/email/email_setup/ip_warming'),
    ('braze-aggressive', true, 'Seventeen days from 50 to 4,000,000 a day: for senders with a good name',
     'Braze, "IP warming", Aggressive: www.braze.com/docs/user_guide/message_building_by_channel/email/email_setup/ip_warming'),
    ('sendgrid-automated', true, 'Six weeks from 480 a day on, two fifths more each day',
     'Twilio SendGrid, "Warming Up an IP Address", its hourly limits × 24: www.twilio.com/docs/sendgrid/concepts/reputation/warm-up-ip-addresses'),
    ('oracle-responsys', true, 'One week by mailbox provider, from 32,500 a day: for known senders with large lists',
     'Oracle Responsys, "IP warmup schedule overview": docs.oracle.com/en/cloud/saas/marketing/responsys-user/Account_IPwarmupSchedule.htm');

INSERT INTO mailworkers.warmup_quotas (schedule, destination_group, day, quota)
SELECT published.schedule, published.destination_group, daily.day, daily.quota * published.factor
FROM (VALUES
    ('braze-conservative', '*', 1, ARRAY[
        50, 50, 50, 100, 100, 100, 500, 500, 500, 1000, 1000, 1000, 2000, 2000, 2000, 4000, 4000, 4000, 8000, 8000, 8000]),
    ('braze-moderate', '*', 1, ARRAY[
        50, 100, 500, 1000, 2000, 4000, 8000, 16000, 25000, 35000, 50000, 75000, 100000, 150000, 200000, 275000, 375000, 500000,
        650000, 825000, 1000000]),
    ('braze-aggressive', '*', 1, ARRAY[
        50, 100, 500, 1000, 5000, 10000, 20000, 40000, 70000, 100000, 150000, 250000, 400000, 600000, 1000000, 2000000, 4000000]),
    ('sendgrid-automated', '*', 24, ARRAY[
        20, 28, 39, 55, 77, 108, 151, 211, 295, 413, 579, 810, 1000, 1587, 2222, 3111, 4356, 6098, 8583, 11953, 16734, 23427, 32798,
        45917, 64284, 89998, 125997, 176395, 246953, 345735, 484029, 677640, 948696, 1328175, 1859444, 2603222, 3644511, 5102316,
        7143242, 10000539, 14000754, 19601056]),
    ('oracle-responsys', 'google', 1, ARRAY[10000, 10000, 10000, 10000, 10000, 12500, 12500]),
    ('oracle-responsys', 'microsoft', 1, ARRAY[7500, 7500, 7500, 10000, 10000, 15000, 15000]),
    ('oracle-responsys', 'yahoo', 1, ARRAY[5000, 5000, 5000, 7500, 7500, 10000, 10000]),
    ('oracle-responsys', '*', 1, ARRAY[10000, 10000, 10000, 10000, 10000, 12500, 12500])
) AS published (schedule, destination_group, factor, quotas)
CROSS JOIN LATERAL unnest(published.quotas) WITH ORDINALITY AS daily (quota, day);
