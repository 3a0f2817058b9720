-- Organizations: what their page shows, settings, the people in them, their end.
-- set: org  org_name text?, org_email text?, org_invoice bool?, org_invoice_address text?, org_window_s int8?, org_is_free bool?
-- set: team_item  team_id int8?, team_name text?, team_role int2?, team_description text?, team_members int8?, team_repositories int8?, team_is_synced bool?, team_has_caller bool?
-- set: person  person_id int8?, person_name text?, person_kind int2?, person_email text?

-- One row for each team that the caller may see: members of the organization see all of them.
-- name: organization_load
-- args: facts
-- cols: facts, org, team_item
-- rows: at least one
SELECT f.*, o.name, o.email, o.invoice_email, o.invoice_email_address, o.tag_window_s, o.stripe_id IS NULL, t.*
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN account o ON o.id = f.namespace_id AND o.kind = 2
LEFT JOIN LATERAL (
  SELECT t.id, t.name, t.role, t.description, (SELECT count(*) FROM team_member m WHERE m.team_id = t.id),
    (SELECT count(*) FROM repository_permission p WHERE p.team_id = t.id), EXISTS (SELECT 1 FROM team_sync s WHERE s.team_id = t.id),
    EXISTS (SELECT 1 FROM team_member m WHERE m.team_id = t.id AND m.account_id = f.caller_id)
  FROM team t WHERE t.organization_id = o.id AND (f.org_role >= 1 OR $6 & 24 <> 0)) t ON true
ORDER BY t.id;

-- Is the address that of a user, or of another organization?
-- name: email_is_taken
-- args: email text, except_id int8
-- cols: yes bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM account a WHERE a.kind = 1 AND lower(a.email) = lower($1))
  OR EXISTS (SELECT 1 FROM account a WHERE a.kind = 2 AND lower(a.email) = lower($1) AND a.id <> $2);

-- A NULL leaves the setting as it is; the two that may be NULL themselves have a switch.
-- name: organization_change
-- args: organization_id int8, set_email bool, email text?, invoice_email bool?, set_address bool, address text?, tag_window_s int8?
-- cols: none
UPDATE account SET email = CASE WHEN $2 THEN $3 ELSE email END, invoice_email = COALESCE($4, invoice_email),
  invoice_email_address = CASE WHEN $5 THEN $6 ELSE invoice_email_address END, tag_window_s = COALESCE($7, tag_window_s)
WHERE id = $1 AND kind = 2;

-- What goes at once when an organization ends: robots, teams, applications, default permissions. The account itself is marked by
-- namespace_mark_deleted.
-- name: organization_remove_robots
-- args: organization_id int8
-- cols: none
DELETE FROM account WHERE owner_id = $1;

-- name: organization_remove_teams
-- args: organization_id int8
-- cols: none
DELETE FROM team WHERE organization_id = $1;

-- name: organization_remove_applications
-- args: organization_id int8
-- cols: none
DELETE FROM oauth_application WHERE organization_id = $1;

-- name: organization_remove_defaults
-- args: organization_id int8
-- cols: none
DELETE FROM default_permission WHERE organization_id = $1;

-- People of the organization's teams, with the repositories to which they have a permission of their own.
-- name: organization_members_load
-- args: facts
-- cols: facts, person, teams text?, repositories text?
-- rows: at least one
SELECT f.*, m.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT a.id, a.name, a.kind, a.email, g.teams, (SELECT json_agg(r.name ORDER BY r.name)::text FROM repository_permission p
    JOIN repository r ON r.id = p.repository_id WHERE p.account_id = a.id AND r.namespace_id = f.namespace_id AND r.state <> 3)
  FROM (SELECT tm.account_id, json_agg(t.name ORDER BY t.name)::text AS teams FROM team t JOIN team_member tm ON tm.team_id = t.id
    WHERE t.organization_id = f.namespace_id AND (f.org_role >= 3 OR $6 & 24 <> 0) GROUP BY tm.account_id) g
  JOIN account a ON a.id = g.account_id AND a.kind = 1) m ON true
ORDER BY m.name;

-- One person of a team, or a robot of the organization.
-- name: organization_member_load
-- args: facts, member text
-- cols: facts, person, teams text?, repositories text?
-- rows: one
SELECT f.*, m.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT a.id, a.name, a.kind, a.email, g.teams, (SELECT json_agg(r.name ORDER BY r.name)::text FROM repository_permission p
    JOIN repository r ON r.id = p.repository_id WHERE p.account_id = a.id AND r.namespace_id = f.namespace_id AND r.state <> 3)
  FROM account a CROSS JOIN LATERAL (SELECT json_agg(t.name ORDER BY t.name)::text AS teams FROM team_member tm JOIN team t ON t.id = tm.team_id
    WHERE tm.account_id = a.id AND t.organization_id = f.namespace_id) g
  WHERE a.name = $7 AND f.namespace_kind = 2 AND (f.org_role >= 3 OR $6 & 24 <> 0)
    AND ((a.kind = 1 AND g.teams IS NOT NULL) OR (a.kind = 3 AND a.owner_id = f.namespace_id))) m ON true;

-- People and robots with a permission of their own who are in no team.
-- name: organization_collaborators_load
-- args: facts
-- cols: facts, person, repositories text?
-- rows: at least one
SELECT f.*, m.* FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL (
  SELECT a.id, a.name, a.kind, a.email, g.repositories
  FROM (SELECT p.account_id, json_agg(r.name ORDER BY r.name)::text AS repositories FROM repository r
    JOIN repository_permission p ON p.repository_id = r.id AND p.account_id IS NOT NULL
    WHERE r.namespace_id = f.namespace_id AND r.state <> 3 AND f.namespace_kind = 2 AND (f.org_role >= 3 OR $6 & 24 <> 0) GROUP BY p.account_id) g
  JOIN account a ON a.id = g.account_id
  WHERE NOT EXISTS (SELECT 1 FROM team_member tm JOIN team t ON t.id = tm.team_id WHERE tm.account_id = a.id AND t.organization_id = f.namespace_id)) m ON true
ORDER BY m.name;

-- Changes of who administrates an organization wait for one another here, so that two of them cannot leave nobody.
-- name: organization_admins_lock
-- args: organization_id int8
-- cols: team_id int8
-- rows: any
SELECT id FROM team WHERE organization_id = $1 AND role = 3 ORDER BY id FOR NO KEY UPDATE;

-- name: organization_has_only_admin
-- args: organization_id int8, account_id int8
-- cols: yes bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id WHERE t.organization_id = $1 AND t.role = 3 AND m.account_id = $2)
  AND NOT EXISTS (SELECT 1 FROM team t JOIN team_member m ON m.team_id = t.id JOIN account a ON a.id = m.account_id AND a.kind = 1
    WHERE t.organization_id = $1 AND t.role = 3 AND m.account_id <> $2);

-- Out of every team, permission, default permission and invitation of the organization.
-- name: organization_remove_member
-- args: organization_id int8, account_id int8
-- cols: none
WITH m AS (DELETE FROM team_member x USING team t WHERE t.id = x.team_id AND t.organization_id = $1 AND x.account_id = $2),
p AS (DELETE FROM repository_permission x USING repository r WHERE r.id = x.repository_id AND r.namespace_id = $1 AND x.account_id = $2),
i AS (DELETE FROM team_invite x USING team t WHERE t.id = x.team_id AND t.organization_id = $1 AND x.account_id = $2)
DELETE FROM default_permission d WHERE d.organization_id = $1 AND d.delegate_id = $2;
