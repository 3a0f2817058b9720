-- The audit log as people read it: pages of a namespace, of one performer in it, of a repository; counts by day and kind.
-- set: log_row  at_ms int8?, id int8?, kind text?, ip text?, metadata text?, performer text?, performer_email text?, performer_kind int2?

-- name: log_namespace_load
-- args: facts, from_ms int8, at_ms int8, before_id int8, page int4
-- cols: facts, log_row
-- rows: at least one
SELECT f.*, l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL audit_of_namespace(CASE WHEN f.org_role = 3 OR $6 & 24 <> 0 THEN f.namespace_id END, $7, $8, $9, $10) l ON true
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id
ORDER BY l.at_ms DESC, l.id DESC;

-- name: log_repository_load
-- args: facts, from_ms int8, at_ms int8, before_id int8, page int4
-- cols: facts, log_row
-- rows: at least one
SELECT f.*, l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind
FROM repo_facts($1, $2, $3, $4, $5, $6) f
LEFT JOIN LATERAL audit_of_repository(CASE WHEN f.may_admin OR $6 & 24 <> 0 THEN f.repository_id END, $7, $8, $9, $10) l ON true
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id
ORDER BY l.at_ms DESC, l.id DESC;

-- Of the caller's own namespace.
-- name: log_own_load
-- args: caller text?, token text?, key_id text?, from_ms int8, at_ms int8, before_id int8, page int4
-- cols: caller, log_row
-- rows: at least one
SELECT f.*, l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind
FROM caller_facts($1, $2, $3) f
LEFT JOIN LATERAL audit_of_namespace(f.caller_id, $4, $5, $6, $7) l ON true
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id
ORDER BY l.at_ms DESC, l.id DESC;

-- What one account did in a namespace; after the row's facts.
-- name: log_performer_page
-- args: namespace_id int8, performer_id int8, from_ms int8, at_ms int8, before_id int8, page int4
-- cols: log_row
-- rows: any
SELECT l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind
FROM audit_of_performer($1, $2, $3, $4, $5, $6) l
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id
ORDER BY l.at_ms DESC, l.id DESC;

-- name: log_count_namespace
-- args: namespace_id int8, from_ms int8, to_ms int8
-- cols: kind text, day_ms int8, n int8
-- rows: any
SELECT k.name, g.day_ms, g.n FROM (
  SELECT x.kind, x.at_ms / 86400000 * 86400000 AS day_ms, count(*) AS n FROM (
    SELECT l.kind, l.at_ms FROM audit_log l WHERE l.namespace_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3
    UNION ALL
    SELECT l.kind, l.at_ms FROM audit_overflow l WHERE l.namespace_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3
    UNION ALL
    SELECT l.kind, l.at_ms FROM (SELECT * FROM audit_inbox LIMIT 20000) l WHERE l.namespace_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3) x
  GROUP BY 1, 2) g JOIN audit_kind k ON k.id = g.kind
ORDER BY g.day_ms, k.name;

-- name: log_count_performer
-- args: namespace_id int8, performer_id int8, from_ms int8, to_ms int8
-- cols: kind text, day_ms int8, n int8
-- rows: any
SELECT k.name, g.day_ms, g.n FROM (
  SELECT x.kind, x.at_ms / 86400000 * 86400000 AS day_ms, count(*) AS n FROM (
    SELECT l.kind, l.at_ms FROM audit_log l WHERE l.namespace_id = $1 AND l.performer_id = $2 AND l.at_ms >= $3 AND l.at_ms < $4
    UNION ALL
    SELECT l.kind, l.at_ms FROM audit_overflow l WHERE l.namespace_id = $1 AND l.performer_id = $2 AND l.at_ms >= $3 AND l.at_ms < $4
    UNION ALL
    SELECT l.kind, l.at_ms FROM (SELECT * FROM audit_inbox LIMIT 20000) l
    WHERE l.namespace_id = $1 AND l.performer_id = $2 AND l.at_ms >= $3 AND l.at_ms < $4) x
  GROUP BY 1, 2) g JOIN audit_kind k ON k.id = g.kind
ORDER BY g.day_ms, k.name;

-- name: log_count_repository
-- args: repository_id int8, from_ms int8, to_ms int8
-- cols: kind text, day_ms int8, n int8
-- rows: any
SELECT k.name, g.day_ms, g.n FROM (
  SELECT x.kind, x.at_ms / 86400000 * 86400000 AS day_ms, count(*) AS n FROM (
    SELECT l.kind, l.at_ms FROM audit_log l WHERE l.repository_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3
    UNION ALL
    SELECT l.kind, l.at_ms FROM audit_overflow l WHERE l.repository_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3
    UNION ALL
    SELECT l.kind, l.at_ms FROM (SELECT * FROM audit_inbox LIMIT 20000) l WHERE l.repository_id = $1 AND l.at_ms >= $2 AND l.at_ms < $3) x
  GROUP BY 1, 2) g JOIN audit_kind k ON k.id = g.kind
ORDER BY g.day_ms, k.name;

-- Of the whole registry, with the namespace of each row.
-- name: log_all_page
-- args: from_ms int8, at_ms int8, before_id int8, page int4
-- cols: log_row, namespace text?, namespace_email text?, namespace_kind int2?
-- rows: any
SELECT l.at_ms, l.id, k.name, l.ip, l.metadata, p.name, p.email, p.kind, n.name, n.email, n.kind
FROM audit_of_all($1, $2, $3, $4) l
LEFT JOIN audit_kind k ON k.id = l.kind LEFT JOIN account p ON p.id = l.performer_id LEFT JOIN account n ON n.id = l.namespace_id
ORDER BY l.at_ms DESC, l.id DESC;

-- Days that kade-actioncount has counted come from their counts; what lies before and after them is counted here.
-- name: log_count_all
-- args: from_ms int8, to_ms int8
-- cols: kind text, day_ms int8, n int8
-- rows: any
WITH c AS MATERIALIZED (SELECT COALESCE(kade_day_ms(min(a.day)), 0) AS from_ms, COALESCE(kade_day_ms(max(a.day) + 1), 0) AS to_ms FROM audit_day a)
SELECT k.name, g.day_ms, sum(g.n)::int8 FROM (
  SELECT a.kind, kade_day_ms(a.day) AS day_ms, a.n FROM audit_count a
  WHERE a.day >= (to_timestamp($1 / 1000.0) AT TIME ZONE 'UTC')::date AND a.day < (to_timestamp($2 / 1000.0) AT TIME ZONE 'UTC')::date
  UNION ALL
  SELECT x.kind, x.at_ms / 86400000 * 86400000, count(*) FROM c, LATERAL (
    SELECT l.kind, l.at_ms FROM audit_log l WHERE l.at_ms >= $1 AND l.at_ms < LEAST($2, c.from_ms)
    UNION ALL
    SELECT l.kind, l.at_ms FROM audit_log l WHERE l.at_ms >= GREATEST($1, c.to_ms) AND l.at_ms < $2
    UNION ALL
    SELECT l.kind, l.at_ms FROM audit_overflow l WHERE l.at_ms >= $1 AND l.at_ms < $2
    UNION ALL
    SELECT l.kind, l.at_ms FROM (SELECT * FROM audit_inbox LIMIT 20000) l WHERE l.at_ms >= $1 AND l.at_ms < $2) x
  GROUP BY 1, 2) g JOIN audit_kind k ON k.id = g.kind
GROUP BY 1, 2 ORDER BY g.day_ms, k.name;
