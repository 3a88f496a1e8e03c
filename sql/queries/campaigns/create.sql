-- A campaign, as a draft; its number. $1 workspace, $2 name, $3 template, $4 list, $5 segment, $6 filter, $7 data, $8 $9 $10 sender
-- and reply address, $11 headers, $12 priority, $13 retries, $14 when it starts, or NULL. Primary keys and unique names.
SELECT mailworkers.create_campaign(workspace_id => $1::text, name => $2::text, template => $3::text, list => $4::text,
    segment => $5::text, filter => $6::jsonb, data => $7::jsonb, from_email => $8::text, from_name => $9::text, reply_to => $10::text,
    headers => $11::jsonb, priority => $12::integer, max_retries => $13::integer, start_at => $14::timestamptz)
