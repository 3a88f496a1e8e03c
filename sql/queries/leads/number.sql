-- Numbers for new leads, so that their place on a list can be written beside them. No table is read.
-- $1 how many.
SELECT nextval('mailworkers.leads_id_seq') AS id FROM generate_series(1, $1::integer)
