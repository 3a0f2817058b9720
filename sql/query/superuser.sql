-- What superusers see and change: all users and organizations, the size of the registry, application tokens.
-- set: su_account  id int8?, name text?, email text?, is_verified bool?, is_enabled bool?

-- Users (1) or organizations (2) in the order of their ids.
-- name: su_accounts
-- args: kind int2, after_id int8, page int4, enabled_only bool, with_quota bool
-- cols: su_account, quota
-- rows: any
SELECT a.id, a.name, a.email, a.is_verified, a.is_enabled, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  CASE WHEN $5 THEN kade_quota_used(a.id) END
FROM account a LEFT JOIN quota q ON q.namespace_id = a.id AND $5
WHERE a.kind = $1 AND a.id > $2 AND (a.is_enabled OR NOT $4) AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = a.id)
ORDER BY a.id LIMIT $3;

-- One of them by name; kind NULL: of either kind.
-- name: su_account_load
-- args: caller text?, token text?, key_id text?, name text, kind int2?, with_quota bool
-- cols: caller, su_account, kind int2?, quota
-- rows: one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id, a.id, a.name, a.email, a.is_verified, a.is_enabled, a.kind, q.namespace_id, q.limit_bytes,
  (SELECT json_agg(json_build_object('id', l.id, 'type', CASE l.kind WHEN 1 THEN 'Warning' ELSE 'Reject' END, 'limit_percent', l.percent) ORDER BY l.id)::text
    FROM quota_limit l WHERE l.namespace_id = q.namespace_id),
  CASE WHEN $6 THEN kade_quota_used(a.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN account a ON a.name = $4 AND a.kind <> 3 AND ($5::int2 IS NULL OR a.kind = $5) AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = a.id)
LEFT JOIN quota q ON q.namespace_id = a.id AND $6;

-- An organization and its robots get another name; none when it is that of a deleted namespace.
-- name: su_org_rename
-- args: organization_id int8, old_name text, new_name text
-- cols: id int8
-- rows: at most one
WITH o AS (UPDATE account SET name = $3 WHERE id = $1 AND kind = 2 AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.name = $3) RETURNING id),
r AS (UPDATE account SET name = $3 || substr(name, length($2) + 1) WHERE owner_id = (SELECT id FROM o) AND kind = 3)
SELECT id FROM o;

-- The caller joins the organization's first team of administrators; none: there is no such team.
-- name: su_org_join_admins
-- args: organization_id int8, account_id int8
-- cols: team_id int8
-- rows: at most one
WITH t AS (SELECT id FROM team WHERE organization_id = $1 AND role = 3 ORDER BY id LIMIT 1),
m AS (INSERT INTO team_member (team_id, account_id) SELECT t.id, $2 FROM t ON CONFLICT DO NOTHING)
SELECT id FROM t;

-- name: registry_size
-- args: none
-- cols: size_bytes int8?, completed_ms int8?, is_queued bool, is_running bool
-- rows: one
SELECT size_bytes, completed_ms, is_queued, is_running FROM registry_size;

-- No row: it is queued or running already.
-- name: registry_size_queue
-- args: none
-- cols: queued bool
-- rows: at most one
UPDATE registry_size SET is_queued = true WHERE NOT is_queued AND NOT is_running RETURNING true;

-- Application tokens of everybody; within_ms: only those that end within that time.
-- name: su_app_tokens
-- args: after_id int8, page int4, within_ms int8?
-- cols: id int8, uuid text, title text?, last_used_ms int8?, created_ms int8, expires_ms int8?
-- rows: any
SELECT id, uuid, title, last_used_ms, created_ms, expires_ms FROM token
WHERE kind = 1 AND id > $1 AND ($3::int8 IS NULL OR expires_ms <= kade_now_ms() + $3) ORDER BY id LIMIT $2;
