-- Count a chunk, once: only where exactly the chunks before it are counted. Primary keys of lead_imports and progress_tracking.
-- $1 import, $2 chunk, $3 first line, $4 last line, $5 digest, $6 bytes read, $7 accepted, $8 updated, $9 kept, $10 duplicates,
-- $11 refused, $12 whether it is the last, $13 whether listeners are told.
-- A chunk that a crash of the server takes back was never counted, and the import goes on before it. So only the last one waits for
-- the disk, and with it all others.
WITH counted AS (
    UPDATE mailworkers.lead_imports
    SET chunks = chunks + 1, last_line = $4::bigint, digest = $5::bytea, bytes_read = $6::bigint,
        rows = rows + $7 + $8 + $9 + $10 + $11, accepted = accepted + $7, updated = updated + $8, kept = kept + $9,
        duplicates = duplicates + $10, refused = refused + $11, updated_at = clock_timestamp(),
        status = CASE WHEN $12::boolean THEN 'finished' ELSE 'running' END,
        finished_at = CASE WHEN $12::boolean THEN clock_timestamp() END
    WHERE id = $1::bigint AND chunks = $2::bigint - 1 AND status <> 'finished'
    RETURNING *
), batch AS (
    INSERT INTO mailworkers.lead_import_batches (import_id, chunk, first_line, last_line, rows, accepted, updated, kept, duplicates, refused)
    SELECT id, $2, $3::bigint, $4, $7 + $8 + $9 + $10 + $11, $7::integer, $8::integer, $9::integer, $10::integer, $11::integer FROM counted
), estimated AS (
    -- How many rows a file has is known at its end; before, it is taken to go on as it began.
    SELECT id, rows, refused, CASE WHEN $12 THEN rows WHEN bytes_read > 0 THEN greatest(rows, rows * bytes_total / bytes_read) END AS total
    FROM counted
), progress AS (
    INSERT INTO mailworkers.progress_tracking AS known (kind, subject_id, part, updated_at, total, done, failed)
    SELECT 'import', id, 0, clock_timestamp(), total, rows, refused FROM estimated
    ON CONFLICT (kind, subject_id, part) DO UPDATE
        SET updated_at = excluded.updated_at, total = excluded.total, done = excluded.done, failed = excluded.failed
)
SELECT counted.id,
    set_config('synchronous_commit', CASE WHEN $12 THEN current_setting('synchronous_commit') ELSE 'off' END, true),
    CASE WHEN $13::boolean THEN pg_notify('mailworkers' || '_progress', jsonb_build_object('kind', 'import', 'id', counted.id,
        'workspace', counted.workspace_id, 'status', counted.status, 'total', estimated.total, 'done', counted.rows,
        'accepted', counted.accepted, 'updated', counted.updated, 'kept', counted.kept, 'duplicates', counted.duplicates,
        'refused', counted.refused)::text) END
FROM counted, estimated
