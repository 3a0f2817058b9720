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

-- Image repositories that the caller may read, by id; $6: everything (superuser).
-- name: catalog_page
-- args: caller_id int8?, public_too bool, after_id int8, page int4, everything bool
-- cols: id int8, name text
-- rows: any
SELECT r.id, n.name || '/' || r.name FROM repository r JOIN account n ON n.id = r.namespace_id AND n.is_enabled
WHERE r.id > $3 AND r.state <> 3 AND r.kind = 1 AND (($2 AND r.is_public) OR $5 OR ($1::int8 IS NOT NULL AND (
  r.namespace_id = $1
  OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.repository_id = r.id AND p.account_id = $1)
  OR EXISTS (SELECT 1 FROM team_member m JOIN repository_permission p ON p.team_id = m.team_id AND p.repository_id = r.id WHERE m.account_id = $1)
  OR EXISTS (SELECT 1 FROM team_member m JOIN team g ON g.id = m.team_id WHERE m.account_id = $1 AND g.organization_id = r.namespace_id AND g.role = 3))))
ORDER BY r.id LIMIT $4;

-- The id that a name given as `last` stands for.
-- name: catalog_after_name
-- args: namespace text, repository text
-- cols: id int8
-- rows: at most one
SELECT r.id FROM repository r JOIN account n ON n.id = r.namespace_id WHERE n.name = $1 AND r.name = $2;
