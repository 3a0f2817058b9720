-- The audit log.
-- name: audit_add
-- args: kind int2, namespace_id int8?, performer_id int8?, repository_id int8?, ip text?, metadata text
-- cols: none
INSERT INTO audit_log (kind, namespace_id, performer_id, repository_id, ip, metadata) VALUES ($1, $2, $3, $4, $5, $6);

-- name: audit_add_overflow
-- args: kind int2, namespace_id int8?, performer_id int8?, repository_id int8?, ip text?, metadata text
-- cols: none
INSERT INTO audit_overflow (kind, namespace_id, performer_id, repository_id, ip, metadata) VALUES ($1, $2, $3, $4, $5, $6);

-- name: audit_kind_ensure
-- args: ids int8[], names text[]
-- cols: none
INSERT INTO audit_kind (id, name) SELECT k.id::int2, k.name FROM unnest($1::int8[], $2::text[]) k(id, name) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name;

-- Partitions of this month and the next three; then rows that had no partition move home.
-- name: audit_partitions_ahead
-- args: none
-- cols: partition text
-- rows: four
SELECT kade_audit_partition(kade_now_ms() + m * 2629800000) FROM generate_series(0, 3) m;

-- name: audit_overflow_move
-- args: max_items int4
-- cols: moved int8
-- rows: one
WITH d AS (DELETE FROM audit_overflow WHERE ctid = ANY(ARRAY(SELECT ctid FROM audit_overflow ORDER BY at_ms LIMIT $1)) RETURNING *),
i AS (INSERT INTO audit_log SELECT d.* FROM d RETURNING 1)
SELECT count(*) FROM i;

-- name: audit_overflow_months
-- args: none
-- cols: partition text
-- rows: any
SELECT kade_audit_partition(m) FROM (SELECT DISTINCT (extract(epoch FROM date_trunc('month', to_timestamp(at_ms / 1000.0) AT TIME ZONE 'UTC') AT TIME ZONE 'UTC') * 1000)::int8 AS m FROM audit_overflow) x;
