-- The command line's own: repositories by name, states, checks.
-- name: repository_by_name
-- args: namespace text, repository text
-- cols: id int8, namespace_id int8, kind int2, state int2, is_public bool
-- rows: at most one
SELECT r.id, r.namespace_id, r.kind, r.state, r.is_public FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $1 AND r.name = $2;

-- name: repository_set_public
-- args: repository_id int8, is_public bool
-- cols: none
UPDATE repository SET is_public = $2 WHERE id = $1;

-- name: repository_set_state
-- args: repository_id int8, state int2
-- cols: none
UPDATE repository SET state = $2 WHERE id = $1 AND state <> 3;

-- name: account_list
-- args: kind int2, after text, page int4
-- cols: name text, is_enabled bool, email text?, created_ms int8
-- rows: any
SELECT name, is_enabled, email, created_ms FROM account WHERE kind = $1 AND name > $2 ORDER BY name LIMIT $3;

-- name: schema_state
-- args: none
-- cols: version int4?, min_app_version int4?
-- rows: one
SELECT max(version), max(min_app_version) FROM schema_migration;

-- name: database_settings
-- args: none
-- cols: encoding text, collate text, ctype text, server_version int4, max_connections int4, has_trgm bool
-- rows: one
SELECT pg_encoding_to_char(d.encoding)::text, d.datcollate::text, d.datctype::text, current_setting('server_version_num')::int4, current_setting('max_connections')::int4,
  EXISTS (SELECT 1 FROM pg_available_extensions WHERE name = 'pg_trgm')
FROM pg_database d WHERE d.datname = current_database();

-- name: instance_adopt
-- args: none
-- cols: uuid text, epoch int8
-- rows: one
UPDATE instance SET epoch = epoch + 1 RETURNING uuid, epoch;

-- name: schema_migrations
-- args: none
-- cols: version int4, name text, min_app_version int4, applied_ms int8
-- rows: any
SELECT version, name, min_app_version, applied_ms FROM schema_migration ORDER BY version;

-- name: schema_migration_add
-- args: version int4, name text, min_app_version int4
-- cols: none
INSERT INTO schema_migration (version, name, min_app_version) VALUES ($1, $2, $3);

-- Jobs that delete objects stop, or go on.
-- name: instance_pause
-- args: paused bool
-- cols: none
UPDATE instance SET deletion_paused = $1;
