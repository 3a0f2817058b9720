-- Labels of manifests over the REST API. The manifest must be visible, as for a pull by digest: held by a live tag, a visible
-- parent or subject, or pushed by digest less than a window ago.
-- set: label  id int8?, uuid text?, key text?, value text?, media_type text?, source int2?

-- $9: keys that begin so ('' = all).
-- name: manifest_labels_load
-- args: facts, digest text, window_ms int8, prefix text
-- cols: facts, manifest_id int8?, label
-- rows: at least one
SELECT f.*, m.id, l.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT m.id FROM manifest m WHERE f.may_read AND f.repository_kind = 1 AND m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $8 THEN true
    ELSE kade_manifest_held(m.id, $8) END) m ON true
LEFT JOIN LATERAL (
  SELECT l.id, l.uuid, l.key, l.value, l.media_type, l.source FROM label l WHERE l.manifest_id = m.id AND starts_with(l.key, $9)) l ON true
ORDER BY l.id;

-- One label by its uuid.
-- name: manifest_label_load
-- args: facts, digest text, window_ms int8, uuid text?
-- cols: facts, manifest_id int8?, label
-- rows: one
SELECT f.*, m.id, l.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT m.id FROM manifest m WHERE f.may_read AND f.repository_kind = 1 AND m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $8 THEN true
    ELSE kade_manifest_held(m.id, $8) END) m ON true
LEFT JOIN LATERAL (
  SELECT l.id, l.uuid, l.key, l.value, l.media_type, l.source FROM label l WHERE l.uuid = $9 AND l.manifest_id = m.id) l ON true;

-- By the API, so it can be deleted again. No row: the manifest is gone.
-- name: label_add
-- args: manifest_id int8, key text, val text, media_type text
-- cols: label
-- rows: at most one
INSERT INTO label (manifest_id, key, value, media_type, source) SELECT m.id, $2, $3, $4, 2 FROM manifest m WHERE m.id = $1
RETURNING id, uuid, key, value, media_type, source;

-- name: label_remove
-- args: id int8
-- cols: id int8
-- rows: at most one
DELETE FROM label WHERE id = $1 AND source = 2 RETURNING id;

-- What an acting label asks of the live tags of its manifest; a tag's life counts from its own start. $3: immutable ones keep
-- their life; $4: so do these.
-- name: label_expire_tags
-- args: manifest_id int8, after_ms int8, keep_immutable bool, kept text[]
-- cols: name text
-- rows: any
UPDATE tag SET expires_ms = start_ms + $2
WHERE manifest_id = $1 AND ended_ms IS NULL AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) AND NOT (is_immutable AND $3) AND name <> ALL($4) RETURNING name;

-- Immutable tags do not expire, unless $2.
-- name: label_fix_tags
-- args: manifest_id int8, may_expire bool
-- cols: name text
-- rows: any
UPDATE tag SET is_immutable = true, expires_ms = CASE WHEN $2 THEN expires_ms END
WHERE manifest_id = $1 AND ended_ms IS NULL AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) AND NOT is_immutable RETURNING name;

-- Where a blob of a manifest is stored.
-- name: manifest_blob_places
-- args: manifest_id int8, digest text
-- cols: size_bytes int8, location text, key text?
-- rows: any
SELECT b.size_bytes, l.name, p.key FROM blob b JOIN manifest_blob mb ON mb.blob_id = b.id
JOIN placement p ON p.blob_id = b.id JOIN location l ON l.id = p.location_id WHERE mb.manifest_id = $1 AND b.digest = $2;

-- name: manifest_pulls_load
-- args: facts, digest text, window_ms int8
-- cols: facts, id int8?, pulls int8?, last_ms int8?
-- rows: one
SELECT f.*, m.id, p.pulls, p.last_ms FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT m.id FROM manifest m WHERE f.may_read AND m.repository_id = f.repository_id AND m.digest = $7 AND NOT m.is_removed AND CASE
    WHEN EXISTS (SELECT 1 FROM tag t WHERE t.manifest_id = m.id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())) THEN true
    WHEN m.idle_since_ms > kade_now_ms() - $8 THEN true
    ELSE kade_manifest_held(m.id, $8) END) m ON true
LEFT JOIN manifest_pull p ON m.id IS NOT NULL AND p.repository_id = f.repository_id AND p.digest = $7;
