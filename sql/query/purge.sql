-- Repositories and namespaces that were deleted: emptied in slices, each a short transaction, in any order with a crash between.

-- name: purge_repository_next
-- args: after_id int8
-- cols: id int8, namespace_id int8
-- rows: at most one
SELECT id, namespace_id FROM repository WHERE state = 3 AND id > $1 ORDER BY id LIMIT 1;

-- Uploads that nobody writes to: rows first, the store afterwards.
-- name: purge_uploads
-- args: repository_id int8, max_items int8
-- cols: uuid text, location text, offset_bytes int8, hash_state text, store_state text
-- rows: any
WITH u AS (DELETE FROM upload WHERE id = ANY(ARRAY(
    SELECT id FROM upload WHERE repository_id = $1 AND (lease_until_ms IS NULL OR lease_until_ms <= kade_now_ms()) ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED))
  RETURNING uuid, location_id, offset_bytes, hash_state, store_state)
SELECT u.uuid, l.name, u.offset_bytes, u.hash_state, u.store_state FROM u JOIN location l ON l.id = u.location_id;

-- name: purge_tags
-- args: repository_id int8, max_items int8
-- cols: none
DELETE FROM tag WHERE id = ANY(ARRAY(SELECT id FROM tag WHERE repository_id = $1 ORDER BY start_ms DESC, name LIMIT $2 FOR UPDATE SKIP LOCKED));

-- Manifests with what stands beside them; nothing holds another here. Their links stay for gc_links_lock_of.
-- name: purge_manifests_lock
-- args: repository_id int8, max_items int8
-- cols: id int8
-- rows: any
SELECT id FROM manifest WHERE repository_id = $1 ORDER BY digest LIMIT $2 FOR UPDATE SKIP LOCKED;

-- name: purge_manifests_unlink
-- args: ids int8[]
-- cols: none
WITH p AS (DELETE FROM manifest_child WHERE manifest_id = ANY($1)),
c AS (DELETE FROM manifest_child WHERE child_id = ANY($1) AND NOT manifest_id = ANY($1)),
t AS (DELETE FROM tag WHERE manifest_id = ANY($1))
DELETE FROM manifest_blob WHERE manifest_id = ANY($1);

-- Rows that would go with the repository, all at once, if there were few.
-- name: purge_counts
-- args: repository_id int8, max_items int8
-- cols: gone int8
-- rows: one
WITH t AS (DELETE FROM tag_pull WHERE ctid = ANY(ARRAY(SELECT ctid FROM tag_pull WHERE repository_id = $1 LIMIT $2)) RETURNING 1),
m AS (DELETE FROM manifest_pull WHERE ctid = ANY(ARRAY(SELECT ctid FROM manifest_pull WHERE repository_id = $1 LIMIT $2)) RETURNING 1),
a AS (DELETE FROM repository_action WHERE ctid = ANY(ARRAY(SELECT ctid FROM repository_action WHERE repository_id = $1 LIMIT $2)) RETURNING 1),
s AS (DELETE FROM star WHERE ctid = ANY(ARRAY(SELECT ctid FROM star WHERE repository_id = $1 LIMIT $2)) RETURNING 1),
p AS (DELETE FROM repository_permission WHERE ctid = ANY(ARRAY(SELECT ctid FROM repository_permission WHERE repository_id = $1 LIMIT $2)) RETURNING 1)
SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM m) + (SELECT count(*) FROM a) + (SELECT count(*) FROM s) + (SELECT count(*) FROM p);

-- name: purge_repository
-- args: repository_id int8
-- cols: id int8
-- rows: at most one
DELETE FROM repository r WHERE r.id = $1 AND r.state = 3
  AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.repository_id = $1) AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository_id = $1)
  AND NOT EXISTS (SELECT 1 FROM repository_blob b WHERE b.repository_id = $1) AND NOT EXISTS (SELECT 1 FROM upload u WHERE u.repository_id = $1)
RETURNING id;

-- A deleted namespace whose grace ($2, for the names $3) is over.
-- name: purge_namespace_next
-- args: after_id int8, grace_ms int8, grace_names text[]
-- cols: id int8, name text
-- rows: at most one
SELECT account_id, name FROM deleted_namespace
WHERE deleted_ms <= kade_now_ms() - CASE WHEN name = ANY($3) THEN $2 ELSE 0 END AND account_id > $1 ORDER BY account_id LIMIT 1;

-- name: purge_namespace_mark
-- args: namespace_id int8, max_items int8
-- cols: none
UPDATE repository SET state = 3, name = gen_random_uuid()::text, is_public = false
WHERE id = ANY(ARRAY(SELECT id FROM repository WHERE namespace_id = $1 AND state <> 3 ORDER BY id LIMIT $2));

-- What hangs on the account, a slice of each: robots, quota.
-- name: purge_namespace_rows
-- args: namespace_id int8, max_items int8
-- cols: gone int8
-- rows: one
WITH r AS (DELETE FROM account WHERE id = ANY(ARRAY(SELECT id FROM account WHERE owner_id = $1 ORDER BY id LIMIT $2)) RETURNING 1),
t AS (DELETE FROM team WHERE id = ANY(ARRAY(SELECT id FROM team WHERE organization_id = $1 ORDER BY id LIMIT $2)) RETURNING 1),
k AS (DELETE FROM token WHERE id = ANY(ARRAY(SELECT id FROM token WHERE account_id = $1 ORDER BY id LIMIT $2)) RETURNING 1),
m AS (DELETE FROM namespace_blob WHERE ctid = ANY(ARRAY(SELECT ctid FROM namespace_blob WHERE namespace_id = $1 ORDER BY blob_id LIMIT $2)) RETURNING 1),
l AS (DELETE FROM quota_ledger WHERE id = ANY(ARRAY(SELECT id FROM quota_ledger WHERE namespace_id = $1 ORDER BY id LIMIT $2)) RETURNING 1),
q AS (DELETE FROM quota_total WHERE namespace_id = $1 RETURNING 1)
SELECT (SELECT count(*) FROM r) + (SELECT count(*) FROM t) + (SELECT count(*) FROM k) + (SELECT count(*) FROM m) + (SELECT count(*) FROM l) + (SELECT count(*) FROM q);

-- No row: a repository is still being emptied.
-- name: purge_namespace
-- args: namespace_id int8
-- cols: id int8
-- rows: at most one
DELETE FROM account a WHERE a.id = $1 AND EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = $1)
  AND NOT EXISTS (SELECT 1 FROM repository r WHERE r.namespace_id = $1) AND NOT EXISTS (SELECT 1 FROM account o WHERE o.owner_id = $1)
RETURNING id;
