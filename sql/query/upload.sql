-- Blobs on their way in.
-- set: upload  id int8?, uuid text?, location text?, offset_bytes int8?, hash_state text?, store_state text?, chunks int4?, lease_busy bool?

-- over_quota: $8 asks whether what the namespace uses and what arrives in this repository reach the limit ($9: the registry's).
-- name: upload_load
-- args: facts, uuid text, with_quota bool, default_bytes int8
-- cols: facts, upload, over_quota bool
-- rows: one
SELECT f.*, u.*, $8 AND u.id IS NOT NULL AND COALESCE(kade_quota_used(f.namespace_id)
  + (SELECT COALESCE(sum(o.offset_bytes), 0)::int8 FROM upload o WHERE o.repository_id = f.repository_id)
  >= kade_quota_reject(f.namespace_id, $9), false) FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT u.id, u.uuid, l.name, u.offset_bytes, u.hash_state, u.store_state, u.chunks, COALESCE(u.lease_until_ms > kade_now_ms(), false)
  FROM upload u JOIN location l ON l.id = u.location_id
  WHERE (f.may_write OR f.may_create) AND u.repository_id = f.repository_id AND u.uuid = $7 OFFSET 0) u ON true;

-- Facts for the start of an upload, and whether the namespace has used its quota up.
-- name: upload_start_load
-- args: facts, default_bytes int8
-- cols: facts, over_quota bool
-- rows: one
SELECT f.*, f.namespace_id IS NOT NULL AND COALESCE(kade_quota_used(f.namespace_id) >= kade_quota_reject(f.namespace_id, $7), false)
FROM repo_facts($1, $2, $3, $4, $5, $6) f;

-- name: upload_start
-- args: uuid text, repository_id int8, location text, account_id int8?, store_state text, hash_state text
-- cols: id int8
-- rows: one
INSERT INTO upload (uuid, repository_id, location_id, account_id, store_state, hash_state)
SELECT $1, $2, l.id, $4, $5, $6 FROM location l WHERE l.name = $3 RETURNING id;

-- Takes the writer's lease if nobody holds it and the upload is where it was seen: 0 rows = somebody was quicker.
-- name: upload_lease
-- args: id int8, lease text, offset_bytes int8, lease_ms int8
-- cols: id int8
-- rows: at most one
UPDATE upload SET lease = $2, lease_until_ms = kade_now_ms() + $4
WHERE id = $1 AND offset_bytes = $3 AND (lease_until_ms IS NULL OR lease_until_ms <= kade_now_ms()) RETURNING id;

-- Extends the lease of a slow body.
-- name: upload_renew
-- args: id int8, lease text, lease_ms int8
-- cols: id int8
-- rows: at most one
UPDATE upload SET lease_until_ms = kade_now_ms() + $3, changed_ms = kade_now_ms() WHERE id = $1 AND lease = $2 RETURNING id;

-- Records what is safely stored, and gives the lease back.
-- name: upload_save
-- args: id int8, lease text, offset_bytes int8, hash_state text, store_state text
-- cols: id int8
-- rows: at most one
UPDATE upload SET offset_bytes = $3, hash_state = $4, store_state = $5, chunks = chunks + 1, lease = NULL, lease_until_ms = NULL, changed_ms = kade_now_ms()
WHERE id = $1 AND lease = $2 RETURNING id;

-- name: upload_release
-- args: id int8, lease text
-- cols: none
UPDATE upload SET lease = NULL, lease_until_ms = NULL WHERE id = $1 AND lease = $2;

-- name: upload_delete
-- args: id int8
-- cols: id int8
-- rows: at most one
DELETE FROM upload WHERE id = $1 RETURNING id;

-- Is the blob known, where, and is its object being deleted? Asked before the final key is chosen. The object that is about to
-- be put there is announced by a pending tombstone ($3: its key while the standard one is being deleted), due in an hour: who
-- dies between the rename and the commit leaves nothing that no row knows. again: the sweeper took the row meanwhile, ask once more.
-- name: blob_place
-- args: digest text, location text, own_key text
-- cols: has_blob bool, placed bool, deleting bool, again bool
-- rows: one
WITH x AS MATERIALIZED (
  SELECT l.id AS location_id, b.id IS NOT NULL AS has_blob, p.blob_id IS NOT NULL AS placed, p.key IS NOT NULL AS own,
    EXISTS (SELECT 1 FROM tombstone t WHERE t.digest = $1 AND t.location_id = l.id AND t.key = '' AND t.state = 1) AS deleting
  FROM location l LEFT JOIN blob b ON b.digest = $1 LEFT JOIN placement p ON p.blob_id = b.id AND p.location_id = l.id WHERE l.name = $2),
announced AS (
  INSERT INTO tombstone AS t (digest, location_id, key, not_before_ms)
  SELECT $1, location_id, CASE WHEN deleting THEN $3 ELSE '' END, kade_now_ms() + 3600000 FROM x WHERE deleting OR NOT placed OR own
  ON CONFLICT (digest, location_id, key) DO UPDATE SET not_before_ms = GREATEST(t.not_before_ms, EXCLUDED.not_before_ms) WHERE t.state = 0
  RETURNING 1)
SELECT has_blob, placed, deleting, (deleting OR NOT placed OR own) AND NOT EXISTS (SELECT 1 FROM announced) FROM x;

-- Completion, one transaction: blob, placement and link come, the upload goes, and the pending tombstone of its object, unless
-- the blob is placed under another key already: then this object is one too many and the tombstone removes it.
-- The object is believed to be there only while a row says so: the announcement of blob_place, held by a lock against the sweeper,
-- or a placement of this very key. raced: neither; nothing was changed. deleting: since the announcement is being carried out.
-- name: upload_finish
-- args: upload_id int8, repository_id int8, digest text, size_bytes int8, location text, key text?
-- cols: blob_id int8?, deleting bool
-- rows: one
WITH l AS (SELECT id FROM location WHERE name = $5),
ann AS MATERIALIZED (SELECT t.state FROM tombstone t, l WHERE t.digest = $3 AND t.location_id = l.id AND t.key = COALESCE($6, '') FOR UPDATE OF t),
go AS MATERIALIZED (
  SELECT EXISTS (SELECT 1 FROM ann WHERE state = 1) AS deleting, EXISTS (SELECT 1 FROM ann WHERE state = 0)
    OR (NOT EXISTS (SELECT 1 FROM ann) AND EXISTS (SELECT 1 FROM blob b JOIN placement p ON p.blob_id = b.id, l
      WHERE b.digest = $3 AND p.location_id = l.id AND p.key IS NOT DISTINCT FROM $6)) AS yes),
b AS (
  INSERT INTO blob AS x (digest, size_bytes) SELECT $3, $4 FROM go WHERE go.yes
  ON CONFLICT (digest) DO UPDATE SET size_bytes = x.size_bytes RETURNING id),
p AS (INSERT INTO placement (blob_id, location_id, key) SELECT b.id, l.id, $6 FROM b, l ON CONFLICT DO NOTHING RETURNING blob_id),
pending AS (
  DELETE FROM tombstone t USING l WHERE t.digest = $3 AND t.location_id = l.id AND t.key = COALESCE($6, '') AND t.state = 0
    AND (EXISTS (SELECT 1 FROM p) OR EXISTS (SELECT 1 FROM placement o, b WHERE o.blob_id = b.id AND o.location_id = l.id AND o.key IS NOT DISTINCT FROM $6))),
rb AS (
  INSERT INTO repository_blob AS t (repository_id, blob_id, idle_since_ms) SELECT $2, b.id, kade_now_ms() FROM b
  ON CONFLICT (repository_id, blob_id) DO UPDATE SET idle_since_ms = CASE WHEN t.idle_since_ms IS NOT NULL THEN kade_now_ms() END, is_removed = false),
u AS (DELETE FROM upload WHERE id = $1 AND EXISTS (SELECT 1 FROM b))
SELECT (SELECT id FROM b), go.deleting FROM go;

-- Where an upload is now, for a writer that lost its lease. 0 rows: it was cancelled.
-- name: upload_offset
-- args: id int8
-- cols: offset_bytes int8
-- rows: at most one
SELECT offset_bytes FROM upload WHERE id = $1;

-- name: location_ensure
-- args: name text
-- cols: id int4
-- rows: one
INSERT INTO location AS l (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET name = l.name RETURNING id;

-- Uploads older than the threshold, for the job that cancels them.
-- name: upload_stale
-- args: older_than_ms int8, max_items int4
-- cols: id int8, uuid text, location text, store_state text
-- rows: any
SELECT u.id, u.uuid, l.name, u.store_state FROM upload u JOIN location l ON l.id = u.location_id
WHERE u.created_ms < kade_now_ms() - $1 AND (u.lease_until_ms IS NULL OR u.lease_until_ms <= kade_now_ms())
ORDER BY u.created_ms LIMIT $2;

-- name: upload_stale_due
-- args: older_than_ms int8
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(created_ms) + $1 FROM (SELECT created_ms FROM upload WHERE created_ms < kade_now_ms() - $1 ORDER BY created_ms LIMIT 10000) u;
