-- Lists of repositories for the REST API, by id: one statement decides who asks and gives the page. Each way to a right gives
-- at most a page in the order of its own index, so that the registry's size does not matter.
-- set: repo_item  id int8?, namespace text?, name text?, description text?, is_public bool?, state int2?, last_modified_ms int8?, actions int8?, is_starred bool?, size_bytes int8?, quota_bytes int8?

-- Everything that the caller may see: $6 public ones too, $7 what the caller has rights to, $8 all there are.
-- name: repo_list_load
-- args: caller text?, token text?, key_id text?, after_id int8, page int4, public_too bool, own bool, everything bool, modified bool, popularity bool
-- cols: caller, repo_item
-- rows: at least one
SELECT f.*, i.* FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT y.id FROM (
    (SELECT v.id FROM listed_repository v WHERE $8 AND v.id > $4 ORDER BY v.id LIMIT $5)
    UNION
    (SELECT v.id FROM listed_repository v WHERE $6 AND v.is_public AND v.id > $4 ORDER BY v.id LIMIT $5)
    UNION
    (SELECT v.id FROM listed_repository v WHERE $7 AND v.namespace_id = f.caller_id AND v.id > $4 ORDER BY v.id LIMIT $5)
    UNION
    (SELECT v.id FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
      WHERE $7 AND p.account_id = f.caller_id AND p.repository_id > $4 ORDER BY p.repository_id LIMIT $5)
    UNION
    SELECT t.id FROM team_member m CROSS JOIN LATERAL (
      SELECT v.id FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
      WHERE p.team_id = m.team_id AND p.repository_id > $4 ORDER BY p.repository_id LIMIT $5) t WHERE $7 AND m.account_id = f.caller_id
    UNION
    SELECT o.id FROM team_member m JOIN team g ON g.id = m.team_id AND g.role = 3 CROSS JOIN LATERAL (
      SELECT v.id FROM listed_repository v WHERE v.namespace_id = g.organization_id AND v.id > $4 ORDER BY v.id LIMIT $5) o
    WHERE $7 AND m.account_id = f.caller_id) y
  ORDER BY y.id LIMIT $5) x ON true
LEFT JOIN LATERAL repo_item(x.id, f.caller_id, $9, $10) i ON true
ORDER BY i.id;

-- The same within one namespace.
-- name: repo_list_namespace_load
-- args: caller text?, token text?, key_id text?, namespace text, after_id int8, page int4, public_too bool, own bool, everything bool, modified bool, popularity bool
-- cols: caller, repo_item
-- rows: at least one
SELECT f.*, i.* FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT n.id, ($9 OR ($8 AND (n.id = f.caller_id OR EXISTS (
    SELECT 1 FROM team_member m JOIN team g ON g.id = m.team_id WHERE m.account_id = f.caller_id AND g.organization_id = n.id AND g.role = 3)))) IS TRUE AS sees_all
  FROM account n WHERE n.name = $4 AND n.kind <> 3 AND n.is_enabled OFFSET 0) n ON true
LEFT JOIN LATERAL (
  SELECT y.id FROM (
    (SELECT r.id FROM repository r WHERE n.sees_all AND r.namespace_id = n.id AND r.id > $5 AND r.state <> 3 AND r.kind = 1 ORDER BY r.id LIMIT $6)
    UNION
    (SELECT r.id FROM repository r WHERE NOT n.sees_all AND $7 AND r.namespace_id = n.id AND r.is_public AND r.id > $5 AND r.state <> 3 AND r.kind = 1
      ORDER BY r.id LIMIT $6)
    UNION
    (SELECT r.id FROM repository_permission p JOIN repository r ON r.id = p.repository_id AND r.namespace_id = n.id AND r.state <> 3 AND r.kind = 1
      WHERE NOT n.sees_all AND $8 AND p.account_id = f.caller_id AND p.repository_id > $5 ORDER BY p.repository_id LIMIT $6)
    UNION
    SELECT t.id FROM team_member m JOIN team g ON g.id = m.team_id AND g.organization_id = n.id CROSS JOIN LATERAL (
      SELECT r.id FROM repository_permission p JOIN repository r ON r.id = p.repository_id AND r.state <> 3 AND r.kind = 1
      WHERE p.team_id = g.id AND p.repository_id > $5 ORDER BY p.repository_id LIMIT $6) t
    WHERE NOT n.sees_all AND $8 AND m.account_id = f.caller_id) y
  ORDER BY y.id LIMIT $6) x ON true
LEFT JOIN LATERAL repo_item(x.id, f.caller_id, $10, $11) i ON true
ORDER BY i.id;

-- What the caller has starred and may still see.
-- name: repo_list_starred_load
-- args: caller text?, token text?, key_id text?, after_id int8, page int4, own bool, everything bool, modified bool, popularity bool
-- cols: caller, repo_item
-- rows: at least one
SELECT f.*, i.* FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT s.repository_id AS id FROM star s JOIN listed_repository v ON v.id = s.repository_id
  WHERE s.account_id = f.caller_id AND s.repository_id > $4
    AND repo_readable(v.id, v.namespace_id, v.is_public, CASE WHEN $6 THEN f.caller_id END, true, $7)
  ORDER BY s.repository_id LIMIT $5) x ON true
LEFT JOIN LATERAL repo_item(x.id, f.caller_id, $8, $9) i ON true
ORDER BY i.id;
