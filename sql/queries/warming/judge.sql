-- Halts those of the warm-ups $1 whose mails were refused too often within $2 days: all together, or of one quota alone.
-- What a person has resumed after counts no more. Primary keys of warmups and warmup_days.
WITH recent AS (
    SELECT warmup.id, known.destination_group, sum(known.refused - known.judged_refused) AS refused,
        sum(known.sent - known.judged_sent + known.refused - known.judged_refused) AS tried
    FROM mailworkers.warmups AS warmup
    JOIN mailworkers.warmup_days AS known
      ON known.warmup_id = warmup.id AND known.on_date > (now() AT TIME ZONE warmup.time_zone)::date - $2::integer
    WHERE warmup.id = ANY ($1::bigint[]) AND warmup.status = 'running'
    GROUP BY GROUPING SETS ((warmup.id, known.destination_group), (warmup.id))
),
bad AS (
    SELECT DISTINCT ON (recent.id) recent.*
    FROM recent
    JOIN mailworkers.warmups AS warmup ON warmup.id = recent.id
    WHERE recent.tried >= warmup.refusals_least AND recent.refused * 100 > warmup.refusals_percent * recent.tried
    ORDER BY recent.id, recent.destination_group IS NOT NULL, recent.refused::float8 / recent.tried DESC
)
UPDATE mailworkers.warmups AS warmup
SET status = 'halted', changed_at = now(), held_on = (now() AT TIME ZONE warmup.time_zone)::date,
    why = format('%s of %s mails%s were refused: %s %%, above %s %%', bad.refused, bad.tried,
        CASE WHEN bad.destination_group <> '*' THEN ' to ' || bad.destination_group ELSE '' END,
        round(bad.refused * 100 / bad.tried, 1), warmup.refusals_percent)
FROM bad
WHERE warmup.id = bad.id AND warmup.status = 'running'
RETURNING warmup.sender, warmup.why
