-- Notifications of repositories and namespaces: what is to be told to whom. A job delivers.
-- set: note  uuid text?, title text?, event text?, method text?, config text?, event_config text?, failures int4?

-- uuid NULL: all of the repository.
-- name: notification_load
-- args: facts, uuid text?
-- cols: facts, note
-- rows: at least one
SELECT f.*, n.uuid, n.title, n.event, n.method, n.config, n.event_config, n.failures
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN notification n ON n.repository_id = f.repository_id AND ($7::text IS NULL OR n.uuid = $7) AND f.may_read
ORDER BY n.id LIMIT 1000;

-- No row: the repository has as many as it may.
-- name: notification_add
-- args: repository_id int8, event text, method text, title text?, config text, event_config text
-- cols: note
-- rows: at most one
INSERT INTO notification (repository_id, event, method, title, config, event_config)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM notification n WHERE n.repository_id = $1) < 1000
RETURNING uuid, title, event, method, config, event_config, failures;

-- name: notification_remove
-- args: repository_id int8, uuid text
-- cols: event text, method text
-- rows: at most one
DELETE FROM notification WHERE repository_id = $1 AND uuid = $2 RETURNING event, method;

-- name: notification_reset
-- args: repository_id int8, uuid text
-- cols: event text, method text
-- rows: at most one
UPDATE notification SET failures = 0 WHERE repository_id = $1 AND uuid = $2 RETURNING event, method;

-- The same of namespaces.
-- name: namespace_notification_load
-- args: facts, uuid text?
-- cols: facts, note
-- rows: at least one
SELECT f.*, n.uuid, n.title, n.event, n.method, n.config, n.event_config, n.failures
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN namespace_notification n ON n.namespace_id = f.namespace_id AND ($7::text IS NULL OR n.uuid = $7)
ORDER BY n.id LIMIT 1000;

-- name: own_notification_load
-- args: caller text?, token text?, key_id text?, uuid text?
-- cols: caller, note
-- rows: at least one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id, n.uuid, n.title, n.event, n.method, n.config, n.event_config, n.failures
FROM caller_facts($1, $2, $3) f
LEFT JOIN namespace_notification n ON n.namespace_id = f.caller_id AND ($4::text IS NULL OR n.uuid = $4)
ORDER BY n.id LIMIT 1000;

-- name: namespace_notification_add
-- args: namespace_id int8, event text, method text, title text?, config text, event_config text
-- cols: note
-- rows: at most one
INSERT INTO namespace_notification (namespace_id, event, method, title, config, event_config)
SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT count(*) FROM namespace_notification n WHERE n.namespace_id = $1) < 1000
RETURNING uuid, title, event, method, config, event_config, failures;

-- name: namespace_notification_remove
-- args: namespace_id int8, uuid text
-- cols: event text, method text
-- rows: at most one
DELETE FROM namespace_notification WHERE namespace_id = $1 AND uuid = $2 RETURNING event, method;

-- name: namespace_notification_reset
-- args: namespace_id int8, uuid text
-- cols: event text, method text
-- rows: at most one
UPDATE namespace_notification SET failures = 0 WHERE namespace_id = $1 AND uuid = $2 RETURNING event, method;

-- Whom a notification in the interface may name: a user, the namespace itself when it is an organization, a team of it.
-- name: notification_target
-- args: namespace_id int8, kind text, name text
-- cols: found bool
-- rows: one
SELECT CASE $2 WHEN 'user' THEN EXISTS (SELECT 1 FROM account a WHERE a.name = $3 AND a.kind = 1)
  WHEN 'org' THEN EXISTS (SELECT 1 FROM account a WHERE a.name = $3 AND a.kind = 2 AND a.id = $1)
  WHEN 'team' THEN EXISTS (SELECT 1 FROM team t WHERE t.organization_id = $1 AND t.name = $3) ELSE false END;

-- name: queue_put
-- args: queue text, name text, body text
-- cols: none
INSERT INTO queue_item (queue, name, body) VALUES ($1, $2, $3);
