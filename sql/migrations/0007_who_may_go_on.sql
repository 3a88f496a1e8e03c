-- What a migration means for daemons of earlier versions that are at work while it runs.

ALTER TABLE mailworkers.schema_migrations ADD COLUMN ends_older boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN mailworkers.schema_migrations.ends_older IS
    'Daemons that do not know this migration must not go on: they drain and end. Others go on until they are replaced.';

COMMENT ON COLUMN mailworkers.email_daemons.suspected_at IS
    'Not used any more: each daemon remembers by itself whose session lock it found free.';
