-- Attachments by reference, only those of the job's own workspace; without their contents where these have more than $3
-- octets together. Primary key of email_blobs. $1 ids, $2 their jobs' workspaces.
SELECT blob.id, blob.filename, blob.content_type, sum(octet_length(blob.content)) OVER () AS octets,
    CASE WHEN sum(octet_length(blob.content)) OVER () <= $3::bigint THEN blob.content END AS content
FROM unnest($1::bigint[], $2::text[]) AS wanted(id, workspace_id)
JOIN mailworkers.email_blobs AS blob ON blob.id = wanted.id AND blob.workspace_id = wanted.workspace_id COLLATE "C"
WHERE blob.id = ANY ($1::bigint[])
