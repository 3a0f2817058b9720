-- Search. $4 of the first three: a pattern, or the beginning of a name; $5 what the caller has rights to, $6 all there is,
-- $7 rows from the top, $8 rows before the page, $9 with last change and actions. Common words match half the registry:
-- what the index gives is cut at 2,000 rows, and the 1,000 most used repositories are always looked at. Names are in lower case,
-- and so is the pattern.
-- set: found  id int8?, namespace text?, namespace_kind int2?, namespace_email text?, name text?, description text?, is_public bool?, last_modified_ms int8?, actions int8?, stars int8?

-- Names and descriptions that hold a text of three characters or more.
-- name: repo_search_load
-- args: caller text?, token text?, key_id text?, pattern text, own bool, everything bool, upto int4, skip int4, usage bool
-- cols: caller, found
-- rows: at least one
SELECT f.*, i.id, n.name, n.kind, n.email, i.name, i.description, i.is_public, i.last_modified_ms, i.actions, CASE WHEN $9 THEN (SELECT count(*) FROM star s WHERE s.repository_id = i.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT y.id, (max(y.search_score) + 1) * CASE WHEN bool_or(y.name LIKE $4) THEN 100 ELSE 1 END AS score, min(length(y.name)) AS len FROM (
    SELECT x.id, x.name, x.search_score FROM (
      (SELECT r.id, r.name, r.search_score FROM repository r WHERE $6 AND r.state <> 3 AND r.kind = 1 AND (r.name LIKE $4 OR r.description ILIKE $4) LIMIT 2000)
      UNION ALL
      (SELECT t.id, t.name, t.search_score FROM (SELECT r.* FROM repository r WHERE $6 AND r.state <> 3 ORDER BY r.search_score DESC, r.id DESC LIMIT 1000) t
        WHERE t.kind = 1 AND (t.name LIKE $4 OR t.description ILIKE $4))
      UNION ALL
      (SELECT r.id, r.name, r.search_score FROM repository r WHERE NOT $6 AND r.is_public AND r.state <> 3 AND r.kind = 1
        AND (r.name LIKE $4 OR r.description ILIKE $4) LIMIT 2000)
      UNION ALL
      (SELECT t.id, t.name, t.search_score FROM (SELECT r.* FROM repository r WHERE NOT $6 AND r.is_public AND r.state <> 3
          ORDER BY r.search_score DESC, r.id DESC LIMIT 1000) t WHERE t.kind = 1 AND (t.name LIKE $4 OR t.description ILIKE $4))
      UNION ALL
      SELECT o.id, o.name, o.search_score FROM repo_of_account(CASE WHEN $5 AND NOT $6 THEN f.caller_id END) o
        WHERE o.name LIKE $4 OR o.description ILIKE $4) x) y
  GROUP BY y.id ORDER BY score DESC, len, y.id DESC LIMIT $7 OFFSET $8) p ON true
LEFT JOIN LATERAL repo_item(p.id, f.caller_id, $9, $9) i ON true
LEFT JOIN LATERAL (SELECT a.name, a.kind, a.email FROM repository r JOIN account a ON a.id = r.namespace_id AND a.is_enabled WHERE r.id = i.id) n ON true
ORDER BY p.score DESC, p.len, p.id DESC;

-- Names that begin with one or two characters (or with others that have no three in a row): the caller's, the same name, and the
-- most used.
-- name: repo_search_prefix_load
-- args: caller text?, token text?, key_id text?, prefix text, own bool, everything bool, upto int4, skip int4, usage bool
-- cols: caller, found
-- rows: at least one
SELECT f.*, i.id, n.name, n.kind, n.email, i.name, i.description, i.is_public, i.last_modified_ms, i.actions, CASE WHEN $9 THEN (SELECT count(*) FROM star s WHERE s.repository_id = i.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT y.id, max(y.search_score) AS score, min(length(y.name)) AS len FROM (
    (SELECT r.id, r.name, r.search_score FROM repository r WHERE r.name = $4 AND r.state <> 3 AND r.kind = 1 AND ($6 OR r.is_public) LIMIT 500)
    UNION ALL
    (SELECT t.id, t.name, t.search_score FROM (SELECT r.* FROM repository r WHERE $6 AND r.state <> 3 ORDER BY r.search_score DESC, r.id DESC LIMIT 1000) t
      WHERE t.kind = 1 AND starts_with(t.name, $4))
    UNION ALL
    (SELECT t.id, t.name, t.search_score FROM (SELECT r.* FROM repository r WHERE NOT $6 AND r.is_public AND r.state <> 3
        ORDER BY r.search_score DESC, r.id DESC LIMIT 1000) t WHERE t.kind = 1 AND starts_with(t.name, $4))
    UNION ALL
    SELECT o.id, o.name, o.search_score FROM repo_of_account(CASE WHEN $5 AND NOT $6 THEN f.caller_id END) o WHERE starts_with(o.name, $4)) y
  GROUP BY y.id ORDER BY score DESC, len, y.id DESC LIMIT $7 OFFSET $8) p ON true
LEFT JOIN LATERAL repo_item(p.id, f.caller_id, $9, $9) i ON true
LEFT JOIN LATERAL (SELECT a.name, a.kind, a.email FROM repository r JOIN account a ON a.id = r.namespace_id AND a.is_enabled WHERE r.id = i.id) n ON true
ORDER BY p.score DESC, p.len, p.id DESC;

-- Everything visible, the most used first ($4 is not looked at).
-- name: repo_search_all_load
-- args: caller text?, token text?, key_id text?, unused text, own bool, everything bool, upto int4, skip int4, usage bool
-- cols: caller, found
-- rows: at least one
SELECT f.*, i.id, n.name, n.kind, n.email, i.name, i.description, i.is_public, i.last_modified_ms, i.actions, CASE WHEN $9 THEN (SELECT count(*) FROM star s WHERE s.repository_id = i.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (
  SELECT y.id, max(y.search_score) AS score FROM (
    (SELECT r.id, r.search_score FROM repository r WHERE $6 AND r.state <> 3 AND r.kind = 1 ORDER BY r.search_score DESC, r.id DESC LIMIT $7 + $8)
    UNION ALL
    (SELECT r.id, r.search_score FROM repository r WHERE NOT $6 AND r.is_public AND r.state <> 3 AND r.kind = 1 ORDER BY r.search_score DESC, r.id DESC LIMIT $7 + $8)
    UNION ALL
    (SELECT o.id, o.search_score FROM repo_of_account(CASE WHEN $5 AND NOT $6 THEN f.caller_id END) o ORDER BY o.search_score DESC, o.id DESC LIMIT 2 * ($7 + $8))) y
  WHERE $4::text IS NOT NULL GROUP BY y.id ORDER BY score DESC, y.id DESC LIMIT $7 OFFSET $8) p ON true
LEFT JOIN LATERAL repo_item(p.id, f.caller_id, $9, $9) i ON true
LEFT JOIN LATERAL (SELECT a.name, a.kind, a.email FROM repository r JOIN account a ON a.id = r.namespace_id AND a.is_enabled WHERE r.id = i.id) n ON true
ORDER BY p.score DESC, p.id DESC;

-- "namespace/text": in one namespace, whose rows are read (|| '': the trigram index would read all names for a short text). $10
-- its name.
-- name: repo_search_namespace_load
-- args: caller text?, token text?, key_id text?, pattern text, own bool, everything bool, upto int4, skip int4, usage bool, namespace text
-- cols: caller, found
-- rows: at least one
SELECT f.*, i.id, n.name, n.kind, n.email, i.name, i.description, i.is_public, i.last_modified_ms, i.actions, CASE WHEN $9 THEN (SELECT count(*) FROM star s WHERE s.repository_id = i.id) END
FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL (SELECT a.id, a.name, a.kind, a.email FROM account a WHERE a.name = $10 AND a.kind <> 3 AND a.is_enabled OFFSET 0) n ON true
LEFT JOIN LATERAL (
  SELECT r.id, r.search_score AS score, length(r.name) AS len FROM repository r
  WHERE r.namespace_id = n.id AND r.state <> 3 AND r.kind = 1 AND r.name || '' LIKE $4
    AND repo_readable(r.id, r.namespace_id, r.is_public, CASE WHEN $5 THEN f.caller_id END, true, $6)
  ORDER BY score DESC, len, r.id DESC LIMIT $7 OFFSET $8) p ON true
LEFT JOIN LATERAL repo_item(p.id, f.caller_id, $9, $9) i ON true
ORDER BY p.score DESC, p.len, p.id DESC;

-- Teams, robots and namespaces whose name begins so, at most $4 of each, for one caller (NULL: nobody, who sees namespaces with
-- public repositories). kind: 1 team, 2 robot, 3 namespace; owner: of a team its organization, of a robot its namespace.
-- name: search_accounts
-- args: caller_id int8?, prefix text, pattern text, page int4, everything bool
-- cols: kind int4, name text, account_kind int2?, email text?, owner text?, owner_kind int2?, owner_email text?
-- rows: any
WITH org AS MATERIALIZED (SELECT DISTINCT t.organization_id AS id FROM team_member m JOIN team t ON t.id = m.team_id AND t.role = 3 WHERE m.account_id = $1)
(SELECT DISTINCT 1, t.name, NULL::int2, NULL::text, o.name, o.kind, o.email
  FROM (SELECT m.team_id FROM team_member m WHERE m.account_id = $1 UNION SELECT t.id FROM org JOIN team t ON t.organization_id = org.id) x
  JOIN team t ON t.id = x.team_id JOIN account o ON o.id = t.organization_id AND o.is_enabled WHERE starts_with(t.name, $2) ORDER BY 2, 5 LIMIT 2 * $4)
UNION ALL
(SELECT 2, r.name, 3::int2, NULL, o.name, o.kind, o.email
  FROM (SELECT $1 AS id UNION SELECT id FROM org) x JOIN account r ON r.owner_id = x.id JOIN account o ON o.id = x.id
  WHERE r.name LIKE $3 ORDER BY length(r.name), r.name LIMIT $4)
UNION ALL
(SELECT 3, a.name, a.kind, a.email, NULL, NULL, NULL
  FROM (SELECT * FROM account a WHERE a.name >= $2 AND a.name < $2 || '~' ORDER BY a.name LIMIT 500) a
  WHERE a.kind <> 3 AND a.is_enabled AND ($5 OR a.id = $1
    OR EXISTS (SELECT 1 FROM repository r WHERE r.namespace_id = a.id AND r.is_public AND r.state <> 3)
    OR EXISTS (SELECT 1 FROM team_member m JOIN team t ON t.id = m.team_id WHERE m.account_id = $1 AND t.organization_id = a.id
      AND (t.role = 3 OR EXISTS (SELECT 1 FROM repository_permission p WHERE p.team_id = t.id)))
    OR EXISTS (SELECT 1 FROM repository_permission p JOIN repository r ON r.id = p.repository_id AND r.state <> 3
      WHERE p.account_id = $1 AND r.namespace_id = a.id))
  ORDER BY length(a.name), a.name LIMIT $4);

-- Accounts for whoever gives somebody a right: users whose name is $4 or begins so ($6), robots and teams of the namespace $5 for
-- its members, the organization itself for its administrators. $7: the credential may act as a member, $8: as an
-- administrator. kind: 1 team, 2 user, 3 robot, 4 organization.
-- name: entities_load
-- args: caller text?, token text?, key_id text?, prefix text, namespace text?, partial bool, member bool, admin bool, teams bool, orgs bool
-- cols: caller, kind int4?, name text?, email text?, is_member bool?, namespace_kind int2?
-- rows: at least one
WITH f AS MATERIALIZED (SELECT * FROM caller_facts($1, $2, $3)),
n AS MATERIALIZED (
  SELECT a.id, a.name, a.kind, a.email, COALESCE((SELECT max(t.role) FROM team_member m JOIN team t ON t.id = m.team_id
      WHERE m.account_id = f.caller_id AND t.organization_id = a.id), CASE WHEN a.id = f.caller_id THEN 3 END, 0) AS role
  FROM f JOIN account a ON a.name = $5 AND a.kind <> 3),
e AS (
  (SELECT 1 AS kind, t.name, NULL::text AS email, true AS is_member FROM n JOIN team t ON t.organization_id = n.id
    WHERE $9 AND $7 AND n.kind = 2 AND n.role >= 1 AND starts_with(t.name, $4) ORDER BY t.name LIMIT 10)
  UNION ALL
  (SELECT 2, a.name, a.email, EXISTS (SELECT 1 FROM n JOIN team t ON t.organization_id = n.id JOIN team_member m ON m.team_id = t.id WHERE m.account_id = a.id)
    FROM account a WHERE a.name >= $4 AND a.name < $4 || '~' AND a.kind = 1 AND a.is_enabled AND ($6 OR a.name = $4) AND $4 <> ''
    ORDER BY a.name LIMIT 10)
  UNION ALL
  (SELECT 3, r.name, NULL, n.kind = 2 FROM n JOIN account r ON r.owner_id = n.id
    WHERE $7 AND n.role >= 1 AND r.kind = 3 AND (starts_with(r.name, $4) OR starts_with(r.name, n.name || '+' || $4)) ORDER BY r.name LIMIT 10)
  UNION ALL
  (SELECT 4, n.name, n.email, true FROM n WHERE $10 AND $8 AND n.kind = 2 AND n.role = 3 AND starts_with(n.name, $4)))
SELECT f.*, e.kind, e.name, e.email, e.is_member, (SELECT kind FROM n) FROM f LEFT JOIN e ON true
ORDER BY e.kind, e.name = $4 DESC, e.name;
