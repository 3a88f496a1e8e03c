-- Letters, as any application inserts many at once. One array for each column.
INSERT INTO mailworkers.email_jobs (to_email, to_name, from_email, from_name, subject, text_body, html_body, headers)
SELECT to_email, nullif(to_name, ''), from_email, from_name, subject, text_body, html_body, headers::jsonb
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
    AS letter(to_email, to_name, from_email, from_name, subject, text_body, html_body, headers)
