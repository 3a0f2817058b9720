-- Service keys: their management by superusers and by the services themselves. Their use: auth.sql.
-- set: key_item  kid text?, service text?, name text?, jwk text?, metadata text?, created_ms int8?, expires_ms int8?, rotation_s int8?, approved_ms int8?, approval text?, notes text?, is_expired bool?
-- set: approver  approver_name text?, approver_email text?, approver_verified bool?, approver_enabled bool?

-- name: service_key_list
-- args: kid text?
-- cols: key_item, approver
-- rows: any
SELECT k.kid, k.service, k.name, k.jwk, k.metadata, k.created_ms, k.expires_ms, k.rotation_s::int8, k.approved_ms, k.approval, k.notes,
  COALESCE(k.expires_ms <= kade_now_ms(), false), a.name, a.email, a.is_verified, a.is_enabled
FROM service_key k LEFT JOIN account a ON a.id = k.approver_id WHERE $1::text IS NULL OR k.kid = $1 ORDER BY k.id LIMIT 2000;

-- approval NULL: not approved yet. No row: the id is taken.
-- name: service_key_add
-- args: kid text, service text, name text, jwk text, metadata text, expires_ms int8?, rotation_s int8?, approval text?, approver_id int8?, notes text?
-- cols: id int8
-- rows: at most one
INSERT INTO service_key (kid, service, name, jwk, metadata, expires_ms, rotation_s, approved_ms, approval, approver_id, notes)
VALUES ($1, $2, $3, $4, $5, $6, $7::int4, CASE WHEN $8::text IS NOT NULL THEN kade_now_ms() END, $8, $9, $10)
ON CONFLICT (kid) DO NOTHING RETURNING id;

-- name: service_key_change
-- args: kid text, name text?, metadata text?, set_expires bool, expires_ms int8?
-- cols: none
UPDATE service_key SET name = COALESCE($2, name), metadata = COALESCE($3, metadata), expires_ms = CASE WHEN $4 THEN $5 ELSE expires_ms END WHERE kid = $1;

-- name: service_key_approve
-- args: kid text, approval text, approver_id int8?, notes text?
-- cols: kid text
-- rows: at most one
UPDATE service_key SET approved_ms = kade_now_ms(), approval = $2, approver_id = $3, notes = $4 WHERE kid = $1 AND approved_ms IS NULL RETURNING kid;

-- What asks superusers to approve it goes with it. A host's own key (it announces itself) stays revoked.
-- name: service_key_remove
-- args: kid text
-- cols: none
WITH n AS (DELETE FROM account_notification WHERE kind = 'service_key_submitted' AND lookup_path = '/service_key_approval/' || $1),
k AS (DELETE FROM service_key WHERE kid = $1 RETURNING kid, approval)
INSERT INTO service_key_revoked (kid) SELECT k.kid FROM k WHERE k.approval = 'Automatic' ON CONFLICT DO NOTHING;

-- name: service_key_asked
-- args: kid text
-- cols: none
DELETE FROM account_notification WHERE kind = 'service_key_submitted' AND lookup_path = '/service_key_approval/' || $1;

-- Asks the superusers for an approval.
-- name: service_key_ask
-- args: kid text, metadata text, names text[]
-- cols: none
INSERT INTO account_notification (account_id, kind, metadata, lookup_path)
SELECT a.id, 'service_key_submitted', $2, '/service_key_approval/' || $1 FROM account a WHERE a.name = ANY($3) AND a.kind = 1;

-- Expired for a week, or not approved within a day: they go when another key of the service comes or goes.
-- name: service_key_sweep
-- args: service text
-- cols: none
DELETE FROM service_key WHERE service = $1
  AND (expires_ms < kade_now_ms() - 604800000 OR (approved_ms IS NULL AND created_ms < kade_now_ms() - 86400000));

-- How many wait for an approval, up to 200.
-- name: service_key_waiting
-- args: none
-- cols: n int8
-- rows: one
SELECT count(*) FROM (SELECT 1 FROM service_key WHERE approved_ms IS NULL ORDER BY created_ms LIMIT 200) x;
