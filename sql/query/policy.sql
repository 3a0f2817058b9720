-- Policies of namespaces and repositories: which tags are pruned, which become immutable. Of a namespace where the repository
-- is NULL.
-- set: prune  uuid text?, method text?, value text?, tag_pattern text?, tag_pattern_matches bool?
-- set: immutability  uuid text?, tag_pattern text?, tag_pattern_matches bool?

-- One row for each policy of the repository in the facts, or of the namespace where the facts have none; uuid: that one.
-- name: prune_load
-- args: facts, uuid text?
-- cols: facts, prune
-- rows: at least one
SELECT f.*, p.uuid, p.method, p.value, p.tag_pattern, p.tag_pattern_matches
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN prune_policy p ON p.namespace_id = f.namespace_id AND p.repository_id IS NOT DISTINCT FROM f.repository_id AND ($7::text IS NULL OR p.uuid = $7)
ORDER BY p.id LIMIT 1000;

-- name: prune_own_load
-- args: caller text?, token text?, key_id text?, uuid text?
-- cols: caller, prune
-- rows: at least one
SELECT f.caller_id, f.caller_name, f.caller_alive, f.token_id, p.uuid, p.method, p.value, p.tag_pattern, p.tag_pattern_matches
FROM caller_facts($1, $2, $3) f
LEFT JOIN prune_policy p ON p.namespace_id = f.caller_id AND p.repository_id IS NULL AND ($4::text IS NULL OR p.uuid = $4)
ORDER BY p.id LIMIT 1000;

-- No row: such a policy is there already. The namespace is due at once.
-- name: prune_add
-- args: namespace_id int8, repository_id int8?, method text, value text, tag_pattern text?, tag_pattern_matches bool
-- cols: uuid text
-- rows: at most one
WITH t AS (INSERT INTO prune_task (namespace_id) VALUES ($1) ON CONFLICT (namespace_id) DO NOTHING)
INSERT INTO prune_policy (namespace_id, repository_id, method, value, tag_pattern, tag_pattern_matches)
SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM prune_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NOT DISTINCT FROM $2
  AND p.method = $3 AND p.value = $4 AND p.tag_pattern IS NOT DISTINCT FROM $5 AND p.tag_pattern_matches = $6)
  AND (SELECT count(*) FROM prune_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NOT DISTINCT FROM $2) < 1000
RETURNING uuid;

-- name: prune_change
-- args: namespace_id int8, repository_id int8?, uuid text, method text, value text, tag_pattern text?, tag_pattern_matches bool
-- cols: none
UPDATE prune_policy SET method = $4, value = $5, tag_pattern = $6, tag_pattern_matches = $7
WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2;

-- The task goes with the last policy of the namespace and its repositories.
-- name: prune_remove
-- args: namespace_id int8, repository_id int8?, uuid text
-- cols: none
WITH t AS (DELETE FROM prune_task WHERE namespace_id = $1 AND NOT EXISTS (SELECT 1 FROM prune_policy p WHERE p.namespace_id = $1 AND p.uuid <> $3))
DELETE FROM prune_policy WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2;

-- name: immutability_load
-- args: facts, uuid text?
-- cols: facts, immutability
-- rows: at least one
SELECT f.*, p.uuid, p.tag_pattern, p.tag_pattern_matches
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN immutability_policy p ON p.namespace_id = f.namespace_id AND p.repository_id IS NOT DISTINCT FROM f.repository_id AND ($7::text IS NULL OR p.uuid = $7)
ORDER BY p.id LIMIT 1000;

-- No row: the pattern has a policy already. A push reads every policy of its namespace and repository: there may be 100 of each.
-- name: immutability_add
-- args: namespace_id int8, repository_id int8?, tag_pattern text, tag_pattern_matches bool
-- cols: uuid text
-- rows: at most one
INSERT INTO immutability_policy (namespace_id, repository_id, tag_pattern, tag_pattern_matches)
SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM immutability_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NOT DISTINCT FROM $2
  AND p.tag_pattern = $3)
RETURNING uuid;

-- name: immutability_count
-- args: namespace_id int8, repository_id int8?
-- cols: n int8
-- rows: one
SELECT count(*) FROM immutability_policy WHERE namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2;

-- No row: another policy has the pattern. The tags that are there are looked at again.
-- name: immutability_change
-- args: namespace_id int8, repository_id int8?, uuid text, tag_pattern text, tag_pattern_matches bool
-- cols: uuid text
-- rows: at most one
UPDATE immutability_policy SET tag_pattern = $4, tag_pattern_matches = $5, backfill_after_id = 0
WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2
  AND NOT EXISTS (SELECT 1 FROM immutability_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NOT DISTINCT FROM $2 AND p.tag_pattern = $4 AND p.uuid <> $3)
RETURNING uuid;

-- name: immutability_remove
-- args: namespace_id int8, repository_id int8?, uuid text
-- cols: none
DELETE FROM immutability_policy WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2;
