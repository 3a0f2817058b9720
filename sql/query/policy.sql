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
UPDATE prune_policy SET method = $4, value = $5, tag_pattern = $6, tag_pattern_matches = $7, changed_ms = kade_now_ms()
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
UPDATE immutability_policy SET tag_pattern = $4, tag_pattern_matches = $5, backfill_after_id = 0, backfilled = 0, changed_ms = kade_now_ms()
WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2
  AND NOT EXISTS (SELECT 1 FROM immutability_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NOT DISTINCT FROM $2 AND p.tag_pattern = $4 AND p.uuid <> $3)
RETURNING uuid;

-- name: immutability_remove
-- args: namespace_id int8, repository_id int8?, uuid text
-- cols: none
DELETE FROM immutability_policy WHERE uuid = $3 AND namespace_id = $1 AND repository_id IS NOT DISTINCT FROM $2;

-- Pruning. The rules for one repository.
-- name: prune_rules
-- args: namespace_id int8, repository_id int8
-- cols: uuid text, method text, value text, tag_pattern text?, tag_pattern_matches bool, of_namespace bool, changed_ms int8
-- rows: any
SELECT p.uuid, p.method, p.value, p.tag_pattern, p.tag_pattern_matches, p.repository_id IS NULL, p.changed_ms
FROM prune_policy p WHERE p.namespace_id = $1 AND (p.repository_id IS NULL OR p.repository_id = $2) ORDER BY p.id;

-- Live tags of a repository, the newest first, behind ($2, $3); with $5 when each was pulled last, by its name or its digest.
-- name: prune_tags
-- args: repository_id int8, before_ms int8, after_name text, max_items int4, with_pulls bool
-- cols: id int8, name text, start_ms int8, is_immutable bool, pulled_ms int8?, released_ms int8?
-- rows: any
SELECT t.id, t.name, t.start_ms, t.is_immutable, CASE WHEN $5 THEN GREATEST(
  (SELECT p.last_ms FROM tag_pull p WHERE p.repository_id = $1 AND p.tag_name = t.name),
  (SELECT p.last_ms FROM manifest_pull p WHERE p.repository_id = $1 AND p.digest = (SELECT m.digest FROM manifest m WHERE m.id = t.manifest_id))) END, t.released_ms
FROM tag t WHERE t.repository_id = $1 AND t.ended_ms IS NULL AND t.start_ms <= $2 AND (t.start_ms < $2 OR t.name > $3)
  AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
ORDER BY t.start_ms DESC, t.name LIMIT $4;

-- Pulls wait in an inbox until they are filed: is that up to date? Its first rows are about the oldest.
-- name: prune_pulls_known
-- args: none
-- cols: is_known bool
-- rows: one
SELECT NOT EXISTS (SELECT 1 FROM (SELECT i.at_ms FROM audit_inbox i LIMIT 1000) x WHERE x.at_ms < kade_now_ms() - 3600000);

-- kade-autoprune. $1: who ran last before that time is due; $2: the configuration's policy likewise, NULL: there is none.
-- name: prune_due
-- args: before_ms int8, default_before_ms int8?
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT t.n + d.n, LEAST(t.oldest, d.oldest)
FROM (SELECT count(*) AS n, min(COALESCE(x.last_ran_ms + kade_now_ms() - $1, kade_now_ms())) AS oldest FROM (
    SELECT p.last_ran_ms FROM prune_task p JOIN account a ON a.id = p.namespace_id AND a.is_enabled
    WHERE p.last_ran_ms IS NULL OR p.last_ran_ms < $1 ORDER BY p.last_ran_ms NULLS FIRST LIMIT 10000) x) t,
  (SELECT count(*) AS n, min(COALESCE(p.last_ran_ms + kade_now_ms() - $2, kade_now_ms())) AS oldest FROM prune_default p
    WHERE $2::int8 IS NOT NULL AND (p.last_ran_ms IS NULL OR p.last_ran_ms < $2)) d;

-- The namespace that waits longest; $2: that one alone.
-- name: prune_task_next
-- args: before_ms int8, namespace text?
-- cols: namespace_id int8, name text, after_repository_id int8?
-- rows: at most one
SELECT p.namespace_id, a.name, p.after_repository_id FROM prune_task p JOIN account a ON a.id = p.namespace_id AND a.is_enabled
WHERE (p.last_ran_ms IS NULL OR p.last_ran_ms < $1) AND ($2::text IS NULL OR a.name = $2) ORDER BY p.last_ran_ms NULLS FIRST LIMIT 1;

-- All of them, for a dry run.
-- name: prune_tasks
-- args: before_ms int8, namespace text?
-- cols: namespace_id int8
-- rows: any
SELECT p.namespace_id FROM prune_task p JOIN account a ON a.id = p.namespace_id AND a.is_enabled
WHERE (p.last_ran_ms IS NULL OR p.last_ran_ms < $1) AND ($2::text IS NULL OR a.name = $2) ORDER BY p.last_ran_ms NULLS FIRST LIMIT 10000;

-- Image repositories of a namespace that have rules ($5: all), in the order of ids.
-- set: prune_repository  id int8, name text, namespace_id int8, namespace text, window_ms int8
-- name: prune_repositories
-- args: namespace_id int8, after_id int8, max_items int8, repository text?, everyone bool
-- cols: prune_repository
-- rows: any
SELECT r.id, r.name, n.id, n.name, n.tag_window_s * 1000 FROM account n JOIN repository r ON r.namespace_id = n.id
WHERE n.id = $1 AND r.id > $2 AND r.state + 0 = 0 AND r.kind = 1 AND ($4::text IS NULL OR r.name = $4)
  AND ($5 OR EXISTS (SELECT 1 FROM prune_policy p WHERE p.namespace_id = $1 AND p.repository_id IS NULL) OR EXISTS (SELECT 1 FROM prune_policy p WHERE p.repository_id = r.id))
ORDER BY r.id LIMIT $3;

-- All of them, for the configuration's policy.
-- name: prune_all_repositories
-- args: after_id int8, max_items int8, namespace text?, repository text?
-- cols: prune_repository
-- rows: any
SELECT r.id, r.name, n.id, n.name, n.tag_window_s * 1000 FROM repository r JOIN account n ON n.id = r.namespace_id AND n.is_enabled
WHERE r.id > $1 AND r.state = 0 AND r.kind = 1 AND ($3::text IS NULL OR n.name = $3) AND ($4::text IS NULL OR r.name = $4) ORDER BY r.id LIMIT $2;

-- How far the run of a namespace has come; NULL: it is through.
-- name: prune_task_step
-- args: namespace_id int8, after_repository_id int8?, status text
-- cols: none
UPDATE prune_task SET after_repository_id = $2, status = $3, last_ran_ms = CASE WHEN $2::int8 IS NULL THEN kade_now_ms() ELSE last_ran_ms END WHERE namespace_id = $1;

-- name: prune_default_next
-- args: before_ms int8
-- cols: after_repository_id int8?
-- rows: at most one
SELECT after_repository_id FROM prune_default WHERE last_ran_ms IS NULL OR last_ran_ms < $1;

-- name: prune_default_step
-- args: after_repository_id int8?
-- cols: none
UPDATE prune_default SET after_repository_id = $1, last_ran_ms = CASE WHEN $1::int8 IS NULL THEN kade_now_ms() ELSE last_ran_ms END;

-- kade-immutable: policies whose tags of before are not marked yet. A push that read the policies before this one was written
-- may take a while: a minute is left to it.
-- name: immutability_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.changed_ms) FROM (
  SELECT p.changed_ms FROM immutability_policy p WHERE p.backfill_after_id IS NOT NULL AND p.changed_ms < kade_now_ms() - 60000 ORDER BY p.id LIMIT 10000) x;

-- name: immutability_next
-- args: none
-- cols: id int8, namespace_id int8, repository_id int8?, namespace text, repository text?, tag_pattern text, tag_pattern_matches bool, after_id int8, changed_ms int8, backfilled int8
-- rows: at most one
SELECT p.id, p.namespace_id, p.repository_id, n.name, r.name, p.tag_pattern, p.tag_pattern_matches, p.backfill_after_id, p.changed_ms, p.backfilled
FROM immutability_policy p JOIN account n ON n.id = p.namespace_id LEFT JOIN repository r ON r.id = p.repository_id
WHERE p.backfill_after_id IS NOT NULL AND p.changed_ms < kade_now_ms() - 60000 ORDER BY p.id LIMIT 1;

-- The repositories of a policy, in the order of ids.
-- name: immutability_repositories
-- args: namespace_id int8, repository_id int8?, after_id int8, max_items int8
-- cols: id int8
-- rows: any
SELECT r.id FROM repository r WHERE r.namespace_id = $1 AND r.id > $3 AND ($2::int8 IS NULL OR r.id = $2) AND r.state + 0 <> 3 ORDER BY r.id LIMIT $4;

-- Live tags of a repository that are not immutable and were not released since the policy was written ($4), by name.
-- name: immutability_tags
-- args: repository_id int8, after_name text, max_items int8, changed_ms int8
-- cols: id int8, name text
-- rows: any
SELECT t.id, t.name FROM tag t WHERE t.repository_id = $1 AND t.ended_ms IS NULL AND t.name > $2 AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND NOT t.is_immutable
  AND (t.released_ms IS NULL OR t.released_ms < $4) ORDER BY t.name LIMIT $3;

-- Holds the policy as it was read. No row: it was changed or removed.
-- name: immutability_hold
-- args: id int8, changed_ms int8
-- cols: id int8
-- rows: at most one
SELECT id FROM immutability_policy WHERE id = $1 AND changed_ms = $2 FOR UPDATE;

-- $2: immutable tags may keep their expiry.
-- name: immutability_mark
-- args: ids int8[], may_expire bool, changed_ms int8
-- cols: id int8
-- rows: any
UPDATE tag SET is_immutable = true, expires_ms = CASE WHEN $2 THEN expires_ms END
WHERE id = ANY($1) AND ended_ms IS NULL AND NOT is_immutable AND (expires_ms IS NULL OR expires_ms > kade_now_ms())
  AND (released_ms IS NULL OR released_ms < $3) RETURNING id;

-- How far the marking has come; NULL: it is through.
-- name: immutability_step
-- args: id int8, changed_ms int8, after_id int8?
-- cols: backfilled int8
-- rows: at most one
UPDATE immutability_policy SET backfill_after_id = $3 WHERE id = $1 AND changed_ms = $2 RETURNING backfilled;

-- How many were marked.
-- name: immutability_add_marked
-- args: id int8, marked int8
-- cols: none
UPDATE immutability_policy SET backfilled = backfilled + $2 WHERE id = $1;
