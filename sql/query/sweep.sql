-- Objects without a blob (kade-gc). A row of `tombstone` goes before the deed and stays until the store says that the object is gone.

-- Tombstones that are due, at locations that are configured here; locked.
-- name: sweep_lock
-- args: locations text[], max_items int8
-- cols: digest text, location text, key text, size_bytes int8?
-- rows: any
SELECT t.digest, l.name, t.key, t.size_bytes FROM tombstone t JOIN location l ON l.id = t.location_id
WHERE t.not_before_ms <= kade_now_ms() AND l.name = ANY($1) ORDER BY t.not_before_ms LIMIT $2 FOR UPDATE OF t SKIP LOCKED;

-- Seen after the lock: where a placement names the key the object stays, whatever the row says; a pending row is then one too many.
-- The others are being deleted from now on; nobody else tries for a quarter of an hour. `fate`: 0 delete it, 1 placed: the row went, 2
-- placed although it was being deleted: the row stays and nothing is done.
-- name: sweep_start
-- args: digests text[], locations text[], keys text[]
-- cols: digest text, location text, key text, size_bytes int8?, fate int4
-- rows: any
WITH x AS MATERIALIZED (
  SELECT t.digest, t.location_id, t.key, t.state, t.size_bytes, l.name, EXISTS (
    SELECT 1 FROM blob b JOIN placement p ON p.blob_id = b.id WHERE b.digest = t.digest AND p.location_id = t.location_id AND COALESCE(p.key, '') = t.key) AS placed
  FROM unnest($1::text[], $2::text[], $3::text[]) u(digest, location, key) JOIN location l ON l.name = u.location
  JOIN tombstone t ON t.digest = u.digest AND t.location_id = l.id AND t.key = u.key),
stale AS (DELETE FROM tombstone t USING x WHERE x.placed AND x.state = 0 AND t.digest = x.digest AND t.location_id = x.location_id AND t.key = x.key),
armed AS (UPDATE tombstone t SET state = CASE WHEN x.placed THEN t.state ELSE 1 END, not_before_ms = kade_now_ms() + 900000 FROM x
  WHERE NOT (x.placed AND x.state = 0) AND t.digest = x.digest AND t.location_id = x.location_id AND t.key = x.key)
SELECT digest, name, key, size_bytes, CASE WHEN NOT placed THEN 0 WHEN state = 0 THEN 1 ELSE 2 END FROM x;

-- The store said that these are gone.
-- name: sweep_done
-- args: digests text[], locations text[], keys text[]
-- cols: none
DELETE FROM tombstone t USING unnest($1::text[], $2::text[], $3::text[]) u(digest, location, key), location l
WHERE l.name = u.location AND t.digest = u.digest AND t.location_id = l.id AND t.key = u.key AND t.state = 1;

-- name: sweep_show
-- args: locations text[], max_items int8
-- cols: digest text, location text, key text, state int4, not_before_ms int8, size_bytes int8?
-- rows: any
SELECT t.digest, l.name, t.key, t.state::int4, t.not_before_ms, t.size_bytes FROM tombstone t JOIN location l ON l.id = t.location_id
WHERE t.not_before_ms <= kade_now_ms() AND l.name = ANY($1) ORDER BY t.not_before_ms LIMIT $2;

-- Bytes that have a key of their own although the standard key is free again.
-- name: own_key_due
-- args: locations text[], max_items int8
-- cols: blob_id int8, digest text, size_bytes int8, location text, key text
-- rows: any
SELECT b.id, b.digest, b.size_bytes, l.name, p.key FROM placement p JOIN blob b ON b.id = p.blob_id JOIN location l ON l.id = p.location_id
WHERE p.key LIKE 'sha%.%' AND l.name = ANY($1)
  AND NOT EXISTS (SELECT 1 FROM tombstone t WHERE t.digest = b.digest AND t.location_id = p.location_id AND t.key = '' AND t.state = 1)
ORDER BY p.blob_id LIMIT $2;

-- Before the copy: its object is announced, so a crash leaves nothing that no row knows. No row: it is being deleted.
-- name: own_key_announce
-- args: digest text, location text
-- cols: state int4
-- rows: at most one
INSERT INTO tombstone AS t (digest, location_id, key, not_before_ms)
SELECT $1, l.id, '', kade_now_ms() + 3600000 FROM location l WHERE l.name = $2
ON CONFLICT (digest, location_id, key) DO UPDATE SET not_before_ms = GREATEST(t.not_before_ms, EXCLUDED.not_before_ms) WHERE t.state = 0
RETURNING t.state::int4;

-- After the copy: the placement names the standard key, the announcement goes, the own key gets a tombstone, due in an hour, since
-- somebody may be reading it. Nothing happens unless the announcement is still there, and the placement as it was.
-- name: own_key_settle
-- args: digest text, location text, key text
-- cols: moved bool
-- rows: one
WITH l AS (SELECT id FROM location WHERE name = $2),
a AS MATERIALIZED (SELECT t.location_id FROM tombstone t, l WHERE t.digest = $1 AND t.location_id = l.id AND t.key = '' AND t.state = 0 FOR UPDATE OF t),
p AS (UPDATE placement p SET key = NULL FROM a, blob b WHERE b.digest = $1 AND p.blob_id = b.id AND p.location_id = a.location_id AND p.key = $3
  RETURNING p.location_id, b.size_bytes),
d AS (DELETE FROM tombstone t USING p WHERE t.digest = $1 AND t.location_id = p.location_id AND t.key = '' AND t.state = 0),
i AS (INSERT INTO tombstone (digest, location_id, key, not_before_ms, size_bytes) SELECT $1, p.location_id, $3, kade_now_ms() + 3600000, p.size_bytes FROM p
  ON CONFLICT DO NOTHING)
SELECT EXISTS (SELECT 1 FROM p);
