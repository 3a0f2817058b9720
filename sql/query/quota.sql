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

-- Links go (pairs of namespace, blob; repository, blob): the namespace's membership goes first, where no other link of the namespace
-- is to be seen. A push that wants to be a member meanwhile waits for this transaction; the next statement looks again.
-- name: quota_release_try
-- args: repository_ids int8[], blob_ids int8[], namespace_ids int8[]
-- cols: namespace_id int8, blob_id int8
-- rows: any
WITH s AS MATERIALIZED (SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[]) s(repository_id, blob_id, namespace_id)),
n AS MATERIALIZED (
  SELECT x.namespace_id, x.blob_id FROM (SELECT DISTINCT namespace_id, blob_id FROM s) x WHERE NOT kade_namespace_has_link(x.namespace_id, x.blob_id,
    ARRAY(SELECT s.repository_id FROM s WHERE s.blob_id = x.blob_id)))
DELETE FROM namespace_blob nb USING n WHERE nb.namespace_id = n.namespace_id AND nb.blob_id = n.blob_id RETURNING nb.namespace_id, nb.blob_id;

-- Those that have a link all the same are members again; for the others the ledger gets its negative row.
-- name: quota_release_settle
-- args: namespace_ids int8[], blob_ids int8[]
-- cols: none
WITH x AS MATERIALIZED (
  SELECT x.namespace_id, x.blob_id, kade_namespace_has_link(x.namespace_id, x.blob_id, '{}') AS stays FROM unnest($1::int8[], $2::int8[]) x(namespace_id, blob_id)),
back AS (INSERT INTO namespace_blob (namespace_id, blob_id) SELECT namespace_id, blob_id FROM x WHERE stays ON CONFLICT DO NOTHING)
INSERT INTO quota_ledger (namespace_id, delta_bytes)
SELECT x.namespace_id, -sum(b.size_bytes)::int8 FROM x JOIN blob b ON b.id = x.blob_id WHERE NOT x.stays GROUP BY x.namespace_id;
