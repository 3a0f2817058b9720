-- Lists for Kade's own interface, one statement for each page: rights, the rows after a cursor in the order of an index, how many
-- there are (counted to 1,001, on the first page), and what each row shows. Filters are escaped patterns.

-- Repositories, the newest first, before $4. $6 public ones too, $7 what the caller has rights to, $8 all there are. Each way to a
-- right gives at most a page in the order of its own index.
-- name: ui_repositories_load
-- args: caller text?, token text?, key_id text?, before_id int8, page int4, public_too bool, own bool, everything bool
-- cols: caller, repo_item, total int8?
-- rows: at least one
SELECT f.*, i.*, CASE WHEN $4 = 9223372036854775807 THEN t.n END FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT y.id FROM (
    (SELECT v.id FROM listed_repository v WHERE $8 AND v.id < $4 ORDER BY v.id DESC LIMIT $5)
    UNION
    (SELECT v.id FROM listed_repository v WHERE $6 AND NOT $8 AND v.is_public AND v.id < $4 ORDER BY v.id DESC LIMIT $5)
    UNION
    (SELECT v.id FROM listed_repository v WHERE $7 AND NOT $8 AND v.namespace_id = f.caller_id AND v.id < $4 ORDER BY v.id DESC LIMIT $5)
    UNION
    (SELECT v.id FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
      WHERE $7 AND NOT $8 AND p.account_id = f.caller_id AND p.repository_id < $4 ORDER BY p.repository_id DESC LIMIT $5)
    UNION
    SELECT t.id FROM team_member m CROSS JOIN LATERAL (
      SELECT v.id FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
      WHERE p.team_id = m.team_id AND p.repository_id < $4 ORDER BY p.repository_id DESC LIMIT $5) t WHERE $7 AND NOT $8 AND m.account_id = f.caller_id
    UNION
    SELECT o.id FROM team_member m JOIN team g ON g.id = m.team_id AND g.role = 3 CROSS JOIN LATERAL (
      SELECT v.id FROM listed_repository v WHERE v.namespace_id = g.organization_id AND v.id < $4 ORDER BY v.id DESC LIMIT $5) o
    WHERE $7 AND NOT $8 AND m.account_id = f.caller_id) y
  ORDER BY y.id DESC LIMIT $5) x ON true
LEFT JOIN LATERAL repo_item(x.id, f.caller_id, true, true) i ON true
LEFT JOIN LATERAL (SELECT count(*) AS n FROM (SELECT y.id FROM (
    (SELECT v.id FROM listed_repository v WHERE $8 ORDER BY v.id DESC LIMIT 1001)
    UNION (SELECT v.id FROM listed_repository v WHERE $6 AND NOT $8 AND v.is_public ORDER BY v.id DESC LIMIT 1001)
    UNION (SELECT o.id FROM (SELECT o.id FROM repo_of_account(CASE WHEN $7 AND NOT $8 THEN f.caller_id END) o LIMIT 4000) o JOIN listed_repository v ON v.id = o.id)) y
    LIMIT 1001) z WHERE $4 = 9223372036854775807 OFFSET 0) t ON true
ORDER BY i.id DESC;

-- The best 100 of those whose name holds a text ($4): as many candidates are looked at as the search looks at.
-- name: ui_repositories_search_load
-- args: caller text?, token text?, key_id text?, pattern text, page int4, public_too bool, own bool, everything bool
-- cols: caller, repo_item, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM caller_facts($1, $2, $3)),
c AS MATERIALIZED (
  SELECT y.id, y.search_score FROM (
    (SELECT r.id, r.search_score FROM repository r WHERE $8 AND r.state <> 3 AND r.kind = 1 AND r.name ILIKE $4 LIMIT 2000)
    UNION
    (SELECT r.id, r.search_score FROM repository r WHERE $6 AND NOT $8 AND r.is_public AND r.state <> 3 AND r.kind = 1 AND r.name ILIKE $4 LIMIT 2000)
    UNION
    SELECT o.id, o.search_score FROM f, repo_of_account(CASE WHEN $7 AND NOT $8 THEN f.caller_id END) o WHERE o.name ILIKE $4) y
  JOIN listed_repository v ON v.id = y.id),
p AS MATERIALIZED (SELECT c.id, c.search_score FROM c ORDER BY c.search_score DESC, c.id DESC LIMIT $5)
SELECT f.*, i.*, (SELECT count(*) FROM (SELECT 1 FROM c LIMIT 1001) x)
FROM f LEFT JOIN p ON true LEFT JOIN LATERAL repo_item(p.id, f.caller_id, true, true) i ON true
ORDER BY p.search_score DESC, p.id DESC;

-- Of one namespace, by name. A namespace that the caller may not see is as one that is empty.
-- name: ui_repositories_namespace_load
-- args: caller text?, token text?, key_id text?, namespace text, after_name text, page int4, public_too bool, own bool, everything bool, pattern text?
-- cols: caller, repo_item, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM caller_facts($1, $2, $3)),
n AS MATERIALIZED (
  SELECT n.id, ($9 OR ($8 AND (n.id = f.caller_id OR EXISTS (
    SELECT 1 FROM team_member m JOIN team g ON g.id = m.team_id WHERE m.account_id = f.caller_id AND g.organization_id = n.id AND g.role = 3)))) IS TRUE AS sees_all
  FROM f, account n WHERE n.name = $4 AND n.kind <> 3 AND n.is_enabled),
g AS (
  SELECT DISTINCT r.id, r.name FROM n CROSS JOIN f CROSS JOIN LATERAL (
    SELECT p.repository_id AS id FROM repository_permission p WHERE p.account_id = f.caller_id
    UNION ALL SELECT p.repository_id FROM team_member m JOIN team t ON t.id = m.team_id AND t.organization_id = n.id
      JOIN repository_permission p ON p.team_id = t.id WHERE m.account_id = f.caller_id) x
  JOIN repository r ON r.id = x.id AND r.namespace_id = n.id AND r.state <> 3 AND r.kind = 1
  WHERE NOT n.sees_all AND $8 AND ($10::text IS NULL OR r.name ILIKE $10)),
p AS MATERIALIZED (
  SELECT x.id, x.name FROM (
    (SELECT r.id, r.name FROM n JOIN repository r ON r.namespace_id = n.id WHERE n.sees_all AND r.state <> 3 AND r.kind = 1 AND r.name > $5
      AND ($10::text IS NULL OR r.name ILIKE $10) ORDER BY r.name LIMIT $6)
    UNION
    (SELECT r.id, r.name FROM n JOIN repository r ON r.namespace_id = n.id WHERE NOT n.sees_all AND $7 AND r.is_public AND r.state <> 3 AND r.kind = 1
      AND r.name > $5 AND ($10::text IS NULL OR r.name ILIKE $10) ORDER BY r.name LIMIT $6)
    UNION
    (SELECT g.id, g.name FROM g WHERE g.name > $5 ORDER BY g.name LIMIT $6)) x
  ORDER BY x.name LIMIT $6)
SELECT f.*, i.*, CASE WHEN $5 = '' THEN (SELECT count(*) FROM (SELECT y.id FROM (
    (SELECT r.id FROM n JOIN repository r ON r.namespace_id = n.id WHERE n.sees_all AND r.state <> 3 AND r.kind = 1 AND ($10::text IS NULL OR r.name ILIKE $10) LIMIT 1001)
    UNION (SELECT r.id FROM n JOIN repository r ON r.namespace_id = n.id WHERE NOT n.sees_all AND $7 AND r.is_public AND r.state <> 3 AND r.kind = 1
      AND ($10::text IS NULL OR r.name ILIKE $10) LIMIT 1001)
    UNION (SELECT g.id FROM g LIMIT 1001)) y LIMIT 1001) z) END
FROM f LEFT JOIN p ON true LEFT JOIN LATERAL repo_item(p.id, f.caller_id, true, true) i ON true
ORDER BY p.name;

-- set: ui_namespace  id int8?, name text?, kind int2?, email text?, is_enabled bool?, is_member bool?, is_admin bool?, repositories int8?, teams int8?, members int8?, robots int8?, used_bytes int8?, limit_bytes int8?
-- Namespaces by name: the caller's own and organizations, or all there are ($6). Counts of a row end at 200.
-- name: ui_namespaces_load
-- args: caller text?, token text?, key_id text?, after text, page int4, everything bool, pattern text?, with_quota bool
-- cols: caller, ui_namespace, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM caller_facts($1, $2, $3)),
m AS MATERIALIZED (
  SELECT t.organization_id AS id, max(t.role) AS role FROM f JOIN team_member m ON m.account_id = f.caller_id JOIN team t ON t.id = m.team_id GROUP BY 1
  UNION ALL SELECT f.caller_id, 3 FROM f WHERE f.caller_id IS NOT NULL),
o AS MATERIALIZED (
  SELECT n.* FROM m CROSS JOIN LATERAL (SELECT n.id, n.name, n.kind, n.email, n.is_enabled FROM account n WHERE n.id = m.id OFFSET 0) n
  WHERE NOT $6 AND n.kind <> 3 AND n.is_enabled AND ($7::text IS NULL OR n.name LIKE $7)),
p AS MATERIALIZED (
  SELECT x.* FROM (
    (SELECT n.id, n.name, n.kind, n.email, n.is_enabled FROM account n WHERE $6 AND $7::text IS NULL AND n.kind <> 3 AND n.name > $4
      AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = n.id) ORDER BY n.name LIMIT 101)
    UNION ALL
    (SELECT n.id, n.name, n.kind, n.email, n.is_enabled FROM account n WHERE $6 AND n.name LIKE $7 AND n.kind <> 3 AND n.name > $4
      AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = n.id) ORDER BY n.name LIMIT 101)
    UNION ALL
    (SELECT o.* FROM o WHERE o.name > $4 ORDER BY o.name LIMIT 101)) x
  ORDER BY x.name LIMIT $5)
SELECT f.*, p.id, p.name, p.kind, p.email, p.is_enabled, m.id IS NOT NULL, m.role = 3,
  CASE WHEN $6 OR m.role = 3 THEN (SELECT count(*) FROM (SELECT 1 FROM repository r WHERE r.namespace_id = p.id AND r.state <> 3 AND r.kind = 1 LIMIT 201) x) END,
  CASE WHEN p.kind = 2 THEN (SELECT count(*) FROM team t WHERE t.organization_id = p.id) END,
  CASE WHEN p.kind = 2 THEN (SELECT count(*) FROM (SELECT DISTINCT tm.account_id FROM team t JOIN team_member tm ON tm.team_id = t.id WHERE t.organization_id = p.id LIMIT 201) x)
    - (SELECT count(*) FROM (SELECT 1 FROM account a WHERE a.owner_id = p.id AND EXISTS (SELECT 1 FROM team_member tm WHERE tm.account_id = a.id) LIMIT 200) x) END,
  CASE WHEN $6 OR m.role = 3 THEN (SELECT count(*) FROM (SELECT 1 FROM account a WHERE a.owner_id = p.id LIMIT 201) x) END,
  CASE WHEN $8 AND ($6 OR m.role = 3) THEN kade_quota_used(p.id) END,
  CASE WHEN $8 AND ($6 OR m.role = 3) THEN (SELECT q.limit_bytes FROM quota q WHERE q.namespace_id = p.id) END,
  CASE WHEN $4 = '' THEN (SELECT count(*) FROM (
    (SELECT n.id FROM account n WHERE $6 AND $7::text IS NULL AND n.kind < 3 AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = n.id) ORDER BY n.kind, n.id LIMIT 1001)
    UNION ALL (SELECT n.id FROM account n WHERE $6 AND n.name LIKE $7 AND n.kind <> 3 AND NOT EXISTS (SELECT 1 FROM deleted_namespace d WHERE d.account_id = n.id) LIMIT 1001)
    UNION ALL SELECT o.id FROM o) x) END
FROM f LEFT JOIN p ON true LEFT JOIN m ON m.id = p.id
ORDER BY p.name;

-- set: ui_tag  name text?, is_immutable bool?, start_ms int8?, expires_ms int8?, digest text?, media_type text?, artifact_type text?, is_index bool?, size_bytes int8?, labels int8?, referrers int8?, pulls int8?, last_pull_ms int8?, children text?
-- Live tags of a repository by name after $7, or newest first before ($8, $7). An index's size counts each blob of its
-- children once; what it lists comes as JSON.
-- name: ui_tags_name_load
-- args: facts, after_name text, page int4, pattern text?, with_children bool
-- cols: facts, ui_tag, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
c AS MATERIALIZED (SELECT count(*) AS n FROM (SELECT 1 FROM f JOIN tag t ON t.repository_id = f.repository_id AND t.ended_ms IS NULL
  WHERE $7 = '' AND f.may_read AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND ($9::text IS NULL OR t.name ILIKE $9) LIMIT 1001) x),
p AS MATERIALIZED (
  SELECT t.* FROM f CROSS JOIN LATERAL (
    SELECT t.* FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
      AND t.name > $7 AND ($9::text IS NULL OR t.name ILIKE $9) ORDER BY t.name LIMIT 101) t ORDER BY t.name LIMIT $8)
SELECT f.*, p.name, p.is_immutable, p.start_ms, p.expires_ms, i.*, CASE WHEN $7 = '' AND f.may_read THEN (SELECT n FROM c) END
FROM f LEFT JOIN p ON true LEFT JOIN LATERAL ui_tag_item(p.manifest_id, p.repository_id, p.name, $10) i ON true
ORDER BY p.name;

-- name: ui_tags_start_load
-- args: facts, after_name text, before_ms int8, page int4, pattern text?, with_children bool
-- cols: facts, ui_tag, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
c AS MATERIALIZED (SELECT count(*) AS n FROM (SELECT 1 FROM f JOIN tag t ON t.repository_id = f.repository_id AND t.ended_ms IS NULL
  WHERE $7 = '' AND f.may_read AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms()) AND ($10::text IS NULL OR t.name ILIKE $10) LIMIT 1001) x),
p AS MATERIALIZED (
  SELECT t.* FROM f CROSS JOIN LATERAL (
    SELECT t.* FROM tag t WHERE f.may_read AND t.repository_id = f.repository_id AND t.ended_ms IS NULL AND (t.expires_ms IS NULL OR t.expires_ms > kade_now_ms())
      AND t.start_ms <= $8 AND (t.start_ms < $8 OR t.name > $7) AND ($10::text IS NULL OR t.name ILIKE $10) ORDER BY t.start_ms DESC, t.name LIMIT 101) t ORDER BY t.start_ms DESC, t.name LIMIT $9)
SELECT f.*, p.name, p.is_immutable, p.start_ms, p.expires_ms, i.*, CASE WHEN $7 = '' AND f.may_read THEN (SELECT n FROM c) END
FROM f LEFT JOIN p ON true LEFT JOIN LATERAL ui_tag_item(p.manifest_id, p.repository_id, p.name, $11) i ON true
ORDER BY p.start_ms DESC, p.name;

-- set: ui_member  id int8?, name text?, email text?, teams text?, n_teams int8?, repositories int8?, last_accessed_ms int8?
-- People of an organization's teams by name, for its admins: up to four teams, the number of permissions of their own.
-- name: ui_members_load
-- args: facts, after text, page int4, pattern text?
-- cols: facts, ui_member, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT f.*, (f.org_role = 3 OR $6 & 24 <> 0) AS sees FROM repo_facts($1, $2, $3, $4, $5, $6) f),
a AS MATERIALIZED (
  SELECT a.id, a.name, a.email, a.last_accessed_ms FROM (SELECT DISTINCT m.account_id FROM f JOIN team t ON f.sees AND t.organization_id = f.namespace_id JOIN team_member m ON m.team_id = t.id) x
  JOIN account a ON a.id = x.account_id AND a.kind = 1 WHERE $9::text IS NULL OR a.name LIKE $9),
p AS MATERIALIZED (SELECT * FROM a WHERE a.name > $7 ORDER BY a.name LIMIT $8)
SELECT f.namespace_id, f.namespace_kind, f.namespace_enabled, f.repository_id, f.repository_kind, f.repository_state, f.is_public, f.caller_id, f.caller_name,
  f.caller_alive, f.role, f.org_role, f.may_read, f.may_write, f.may_admin, f.may_create, f.token_id,
  p.id, p.name, p.email, g.names, g.n,
  (SELECT count(*) FROM (SELECT 1 FROM repository_permission q JOIN repository r ON r.id = q.repository_id AND r.namespace_id = f.namespace_id AND r.state <> 3
    WHERE q.account_id = p.id LIMIT 1001) x), p.last_accessed_ms,
  CASE WHEN $7 = '' THEN (SELECT count(*) FROM (SELECT 1 FROM a LIMIT 1001) x) END
FROM f LEFT JOIN p ON true LEFT JOIN LATERAL (
  SELECT json_agg(y.name ORDER BY y.name) FILTER (WHERE y.i <= 4)::text AS names, count(*) AS n FROM (
    SELECT t.name, row_number() OVER (ORDER BY t.name) AS i FROM team_member m JOIN team t ON t.id = m.team_id AND t.organization_id = f.namespace_id WHERE m.account_id = p.id) y) g ON true
ORDER BY p.name;

-- set: ui_robot  id int8?, name text?, description text?, created_ms int8?, last_accessed_ms int8?, teams int8?, repositories int8?
-- Robots of a namespace by name, for its admins; never their tokens.
-- name: ui_robots_load
-- args: facts, after text, page int4, pattern text?
-- cols: facts, ui_robot, total int8?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM repo_facts($1, $2, $3, $4, $5, $6)),
c AS MATERIALIZED (SELECT count(*) AS n FROM (SELECT 1 FROM f JOIN account a ON (f.org_role = 3 OR $6 & 24 <> 0) AND a.owner_id = f.namespace_id
  WHERE $7 = '' AND a.kind = 3 AND ($9::text IS NULL OR a.name LIKE $9) LIMIT 1001) x),
p AS MATERIALIZED (
  SELECT a.id, a.name, a.created_ms, a.last_accessed_ms FROM f JOIN account a ON (f.org_role = 3 OR $6 & 24 <> 0) AND a.owner_id = f.namespace_id
  WHERE a.kind = 3 AND a.name > $7 AND ($9::text IS NULL OR a.name LIKE $9) ORDER BY a.name LIMIT $8)
SELECT f.*, p.id, p.name, r.description, p.created_ms, p.last_accessed_ms, (SELECT count(*) FROM team_member m WHERE m.account_id = p.id),
  (SELECT count(*) FROM (SELECT 1 FROM repository_permission q JOIN repository y ON y.id = q.repository_id AND y.state <> 3 WHERE q.account_id = p.id LIMIT 1001) x),
  CASE WHEN $7 = '' THEN (SELECT n FROM c) END
FROM f LEFT JOIN p ON true LEFT JOIN robot r ON r.account_id = p.id
ORDER BY p.name;

-- Why an account may do what it may in a repository: the grants, and what else counts. For the repository's admins: they may list
-- permissions, teams with a permission and their members anyway; a team of administrators is told without its name.
-- name: ui_why_load
-- args: facts, subject text
-- cols: facts, subject_id int8?, subject_kind int2?, subject_enabled bool?, subject_owner_id int8?, subject_owner_enabled bool?, own_role int2?, teams text?, admin_through_team bool?, is_owner bool?
-- rows: one
SELECT f.*, a.id, a.kind, a.is_enabled, a.owner_id, o.is_enabled,
  (SELECT p.role FROM repository_permission p WHERE p.repository_id = f.repository_id AND p.account_id = a.id),
  (SELECT json_agg(json_build_object('name', t.name, 'role', p.role) ORDER BY t.name)::text FROM team_member m
    JOIN team t ON t.id = m.team_id AND t.organization_id = f.namespace_id JOIN repository_permission p ON p.team_id = t.id AND p.repository_id = f.repository_id
    WHERE m.account_id = a.id),
  EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = a.id AND t.organization_id = f.namespace_id AND t.role = 3),
  a.id = f.namespace_id
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN account a ON (f.may_admin OR $6 & 24 <> 0) AND a.name = $7 AND a.kind <> 2
LEFT JOIN account o ON o.id = a.owner_id;

-- May the badge of a repository be shown: to who may read it, or who has its token?
-- name: badge_load
-- args: caller text?, token text?, key_id text?, namespace text, repository text, caps int4, badge_token text?
-- cols: caller, is_open bool
-- rows: one
SELECT f.*, x.may_read OR COALESCE((SELECT r.badge_token = $7 FROM repository r WHERE r.id = x.repository_id AND x.namespace_enabled), false)
FROM caller_facts($1, $2, $3) f CROSS JOIN repo_facts($4, $5, $1, $2, $3, $6) x;
