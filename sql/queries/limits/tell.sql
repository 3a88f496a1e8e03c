-- What this daemon ($1) has learned: new rows are made, known ones brought up to date, those of $9 and $10 are no more.
-- A known row that is missing was taken away by a person, and is not made again. Index: the primary key.
WITH told AS (
    SELECT *
    FROM unnest($2::text[], $3::text[], $4::float8[], $5::float8[], $6::float8[], $7::text[], $8::boolean[])
        AS one (scope, name, rate, good, rests, reason, is_new)
),
gone AS (
    DELETE FROM mailworkers.learned_rates AS known
    USING unnest($9::text[], $10::text[]) AS one (scope, name)
    WHERE (known.scope, known.name, known.instance) = (one.scope, one.name, $1::text)
),
changed AS (
    UPDATE mailworkers.learned_rates AS known
    SET rate = told.rate, good = told.good, rests_until = now() + make_interval(secs => told.rests), reason = told.reason,
        updated_at = now()
    FROM told
    WHERE NOT told.is_new AND (known.scope, known.name, known.instance) = (told.scope, told.name, $1::text)
)
INSERT INTO mailworkers.learned_rates (scope, name, instance, rate, good, rests_until, reason)
SELECT scope, name, $1::text, rate, good, now() + make_interval(secs => rests), reason
FROM told
WHERE is_new
ORDER BY scope, name
ON CONFLICT (scope, name, instance) DO UPDATE
SET rate = excluded.rate, good = excluded.good, rests_until = excluded.rests_until, reason = excluded.reason, updated_at = now()
