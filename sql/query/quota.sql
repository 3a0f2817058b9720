-- Quotas of namespaces: what is allowed, at which parts of it something happens, and what is used.
-- set: quota  quota_id int8?, limit_bytes int8?, limits text?, used_bytes int8?

-- name: quota_load
-- args: facts
-- cols: facts, quota
-- rows: one
SELECT f.*, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used(f.namespace_id)
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN quota q ON q.namespace_id = f.namespace_id;

-- The caller's own, or (superusers) that of a namespace.
-- name: quota_caller_load
-- args: caller text?, token text?, key_id text?, namespace text?
-- cols: caller, namespace_id int8?, quota
-- rows: one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id, n.id, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used(n.id)
FROM caller_facts($1, $2, $3) f
LEFT JOIN account n ON n.id = CASE WHEN $4::text IS NULL THEN f.caller_id ELSE (SELECT a.id FROM account a WHERE a.name = $4 AND a.kind <> 3) END
LEFT JOIN quota q ON q.namespace_id = n.id;

-- name: quota_of
-- args: namespace_id int8
-- cols: quota
-- rows: one
SELECT q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  kade_quota_used($1)
FROM (VALUES (1)) one LEFT JOIN quota q ON q.namespace_id = $1;

-- No row: there is one already.
-- name: quota_create
-- args: namespace_id int8, limit_bytes int8
-- cols: id int8
-- rows: at most one
INSERT INTO quota (namespace_id, limit_bytes) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING namespace_id;

-- name: quota_change
-- args: namespace_id int8, limit_bytes int8
-- cols: none
UPDATE quota SET limit_bytes = $2 WHERE namespace_id = $1;

-- Its limits go with it, and what would be told of it.
-- name: quota_remove
-- args: namespace_id int8
-- cols: none
WITH n AS (DELETE FROM namespace_notification WHERE namespace_id = $1 AND event IN ('quota_warning', 'quota_error')),
a AS (DELETE FROM account_notification WHERE account_id = $1 AND kind IN ('quota_warning', 'quota_error'))
DELETE FROM quota WHERE namespace_id = $1;

-- No row: there is such a limit already.
-- name: quota_limit_add
-- args: namespace_id int8, kind int2, percent int4
-- cols: id int8
-- rows: at most one
INSERT INTO quota_limit (namespace_id, kind, percent) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id;

-- name: quota_limit_change
-- args: namespace_id int8, id int8, kind int2, percent int4
-- cols: none
UPDATE quota_limit SET kind = $3, percent = $4 WHERE namespace_id = $1 AND id = $2;

-- name: quota_limit_remove
-- args: namespace_id int8, id int8
-- cols: none
DELETE FROM quota_limit WHERE namespace_id = $1 AND id = $2;
