-- Tags.
-- Pushes to one name take turns, so that each of the next two statements sees what the push before it committed.
-- name: tag_lock
-- args: repository_id int8, name text
-- cols: done bool
-- rows: one
SELECT pg_advisory_xact_lock(hashtextextended($2, $1)) IS NULL;

-- Pushes of one tag go one after the other: without it all but one of those that meet would have to begin again, each time. In
-- the order of names, before any row is locked; gone with the transaction.
-- name: tag_queue
-- args: repository_id int8, names text[]
-- cols: locked int8
-- rows: one
SELECT count(pg_advisory_xact_lock(hashtextextended(n.name, $1))) FROM (SELECT DISTINCT x COLLATE "C" AS name FROM unnest($2::text[]) x ORDER BY 1) n;

-- Ends the live row of a name: one that points elsewhere, or one whose time has passed (it ends at that time).
-- name: tag_end
-- args: repository_id int8, name text, manifest_digest text, window_ms int8, keep_immutable bool
-- cols: digest text
-- rows: at most one
UPDATE tag t SET ended_ms = LEAST(kade_now_ms(), COALESCE(t.expires_ms, kade_now_ms())), collect_after_ms = LEAST(kade_now_ms(), COALESCE(t.expires_ms, kade_now_ms())) + $4
FROM manifest old
WHERE t.repository_id = $1 AND t.name = $2 AND t.ended_ms IS NULL AND old.id = t.manifest_id
  AND (t.expires_ms <= kade_now_ms() OR (old.digest <> $3 AND NOT (t.is_immutable AND $5)))
RETURNING old.digest;

-- Points the name to the manifest unless it does already; takes the manifest out of idleness. 23505: somebody was quicker.
-- name: tag_put
-- args: repository_id int8, name text, manifest_digest text, expires_after_ms int8?, is_immutable bool
-- cols: none
WITH m AS (SELECT id, idle_since_ms FROM manifest WHERE repository_id = $1 AND digest = $3),
busy AS (UPDATE manifest SET idle_since_ms = NULL FROM m WHERE manifest.id = m.id AND m.idle_since_ms IS NOT NULL)
INSERT INTO tag (repository_id, manifest_id, name, expires_ms, is_immutable)
SELECT $1, m.id, $2, kade_now_ms() + $4, $5 FROM m
WHERE NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = $1 AND t.name = $2 AND t.ended_ms IS NULL AND t.manifest_id = m.id);

-- name: tag_delete_load
-- args: facts, name text
-- cols: facts, id int8?, digest text?, is_immutable bool?, window_s int8?
-- rows: one
SELECT f.*, t.id, t.digest, t.is_immutable, t.tag_window_s
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT t.id, m.digest, t.is_immutable, n.tag_window_s FROM tag t JOIN manifest m ON m.id = t.manifest_id, account n
  WHERE f.may_write AND t.repository_id = f.repository_id AND t.name = $7 AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND n.id = f.namespace_id OFFSET 0) t ON true;

-- name: tag_delete
-- args: tag_id int8, window_ms int8, keep_immutable bool
-- cols: name text
-- rows: at most one
UPDATE tag SET ended_ms = kade_now_ms(), collect_after_ms = kade_now_ms() + $2 WHERE id = $1 AND ended_ms IS NULL AND NOT (is_immutable AND $3) RETURNING name;

-- Live names in byte order after $7; one row more than the page tells whether there are more.
-- name: tags_list_load
-- args: facts, after text?, page int4
-- cols: facts, name text?
-- rows: at least one
SELECT f.*, t.name FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN LATERAL (
  SELECT t.name FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.ended_ms IS NULL
    AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND t.name > COALESCE($7, '')
  ORDER BY t.name LIMIT $8) t ON true
ORDER BY t.name;
