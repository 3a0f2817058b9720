-- Permissions of one repository, and the default permissions of an organization.

-- name: repository_users_load
-- args: facts
-- cols: facts, person, person_role int2?, is_org_member bool?
-- rows: at least one
SELECT f.*, u.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT a.id, a.name, a.kind, a.email, p.role, a.owner_id = f.namespace_id OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id
    WHERE m.account_id = a.id AND t.organization_id = f.namespace_id)
  FROM repository_permission p JOIN account a ON a.id = p.account_id
  WHERE p.repository_id = f.repository_id AND (f.may_admin OR $6 & 24 <> 0)) u ON true
ORDER BY u.name;

-- Somebody by name, with the permission that he has of his own.
-- name: repository_user_load
-- args: facts, member text
-- cols: facts, person, person_role int2?, is_org_member bool?, person_owner_id int8?
-- rows: one
SELECT f.*, a.id, a.name, a.kind, a.email, p.role, a.owner_id = f.namespace_id OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id
    WHERE m.account_id = a.id AND t.organization_id = f.namespace_id), a.owner_id
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN account a ON a.name = $7 AND a.kind <> 2
LEFT JOIN repository_permission p ON p.repository_id = f.repository_id AND p.account_id = a.id;

-- name: repository_teams_load
-- args: facts
-- cols: facts, team_id int8?, team_name text?, team_role int2?
-- rows: at least one
SELECT f.*, t.id, t.name, t.role FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (SELECT t.id, t.name, p.role FROM repository_permission p JOIN team t ON t.id = p.team_id
  WHERE p.repository_id = f.repository_id AND (f.may_admin OR $6 & 24 <> 0)) t ON true
ORDER BY t.name;

-- name: repository_team_load
-- args: facts, team text
-- cols: facts, team_id int8?, team_name text?, team_role int2?
-- rows: one
SELECT f.*, t.id, t.name, p.role FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN team t ON t.organization_id = f.namespace_id AND t.name = $7
LEFT JOIN repository_permission p ON p.repository_id = f.repository_id AND p.team_id = t.id;

-- One row for each grant, own or through a team.
-- name: repository_user_grants_load
-- args: facts, member text
-- cols: facts, grant_role int2?
-- rows: at least one
SELECT f.*, g.role FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN account a ON a.name = $7 AND a.kind <> 2
LEFT JOIN LATERAL (
  SELECT p.role FROM repository_permission p WHERE p.repository_id = f.repository_id AND p.account_id = a.id
  UNION ALL
  SELECT p.role FROM team_member m JOIN repository_permission p ON p.team_id = m.team_id AND p.repository_id = f.repository_id
  WHERE m.account_id = a.id) g ON true
ORDER BY g.role DESC;

-- set: prototype  uuid text, role int2, activating_name text?, activating_email text?, activating_kind int2?, activating_is_member bool?, delegate_name text?, delegate_email text?, delegate_kind int2?, delegate_is_member bool?, team_name text?

-- All of an organization, or the one of that uuid.
-- name: prototype_list
-- args: organization_id int8, uuid text?
-- cols: prototype
-- rows: any
SELECT d.uuid, d.role, a.name, a.email, a.kind, a.owner_id = $1 OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id
    WHERE m.account_id = a.id AND t.organization_id = $1),
  g.name, g.email, g.kind, g.owner_id = $1 OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id
    WHERE m.account_id = g.id AND t.organization_id = $1), dt.name
FROM default_permission d LEFT JOIN account a ON a.id = d.activating_id LEFT JOIN account g ON g.id = d.delegate_id
LEFT JOIN team dt ON dt.id = d.delegate_team_id
WHERE d.organization_id = $1 AND ($2::text IS NULL OR d.uuid = $2) ORDER BY d.id;

-- name: prototype_create
-- args: organization_id int8, activating_id int8?, delegate_id int8?, team_id int8?, role int2
-- cols: uuid text
-- rows: one
INSERT INTO default_permission (organization_id, activating_id, delegate_id, delegate_team_id, role) VALUES ($1, $2, $3, $4, $5) RETURNING uuid;

-- name: prototype_set_role
-- args: organization_id int8, uuid text, role int2
-- cols: none
UPDATE default_permission SET role = $3 WHERE organization_id = $1 AND uuid = $2;

-- name: prototype_remove
-- args: organization_id int8, uuid text
-- cols: none
DELETE FROM default_permission WHERE organization_id = $1 AND uuid = $2;
