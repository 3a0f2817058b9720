-- Repositories: creation by the first write, the catalogue.
-- Makes the repository if it is absent (idempotent), gives its creator admin rights and applies the default permissions.
-- name: repository_ensure
-- args: namespace_id int8, name text, creator_id int8?, is_public bool, kind int2
-- cols: id int8
-- rows: one
SELECT kade_repository_ensure($1, $2, $3, $4, $5);

-- Makes an organization if the name is free, with its creator in the team of owners.
-- name: organization_ensure
-- args: name text, email text?, creator_id int8, tag_window_s int8
-- cols: id int8?
-- rows: one
SELECT kade_organization_ensure($1, $2, $3, $4);

-- Image repositories that the caller may read, by id; $5: everything (superuser). Each way to a right gives at most a page in
-- the order of its own index, so that the registry's size does not matter.
-- name: catalog_page
-- args: caller_id int8?, public_too bool, after_id int8, page int4, everything bool
-- cols: id int8, name text
-- rows: any
SELECT x.id, x.path FROM (
  (SELECT v.id, v.path FROM listed_repository v WHERE $5 AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM listed_repository v WHERE $2 AND v.is_public AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM listed_repository v WHERE v.namespace_id = $1 AND v.id > $3 ORDER BY v.id LIMIT $4)
  UNION
  (SELECT v.id, v.path FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
    WHERE p.account_id = $1 AND p.repository_id > $3 ORDER BY p.repository_id LIMIT $4)
  UNION
  SELECT t.id, t.path FROM team_member m CROSS JOIN LATERAL (
    SELECT v.id, v.path FROM repository_permission p JOIN listed_repository v ON v.id = p.repository_id
    WHERE p.team_id = m.team_id AND p.repository_id > $3 ORDER BY p.repository_id LIMIT $4) t WHERE m.account_id = $1
  UNION
  SELECT o.id, o.path FROM team_member m JOIN team g ON g.id = m.team_id AND g.role = 3 CROSS JOIN LATERAL (
    SELECT v.id, v.path FROM listed_repository v WHERE v.namespace_id = g.organization_id AND v.id > $3 ORDER BY v.id LIMIT $4) o
  WHERE m.account_id = $1) x
ORDER BY x.id LIMIT $4;

-- The id that a name given as `last` stands for.
-- name: catalog_after_name
-- args: namespace text, repository text
-- cols: id int8
-- rows: at most one
SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $1 AND r.name = $2;
