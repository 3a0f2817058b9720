-- Mail: the queue of kade-mail, the codes in mails, addresses that may get notifications.
-- Bodies are sealed: they hold codes.
-- name: mail_put
-- args: body text, tries int4, life_ms int8
-- cols: none
INSERT INTO queue_item (queue, body, retries_remaining, expires_ms) VALUES ('mail', $1, $2, kade_now_ms() + $3);

-- What waits, and what is to be forgotten.
-- name: mail_due
-- args: none
-- cols: backlog int8, oldest_due_ms int8?
-- rows: one
SELECT count(*), min(x.due_ms) FROM (
  (SELECT available_after_ms AS due_ms FROM queue_item
   WHERE queue = 'mail' AND retries_remaining > 0 AND available_after_ms <= kade_now_ms() ORDER BY available_after_ms LIMIT 10000)
  UNION ALL
  (SELECT expires_ms FROM queue_item WHERE queue = 'mail' AND expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT 10000)) x;

-- The next mail. Whoever takes it has it until the lease ends; then it is taken again.
-- name: mail_claim
-- args: lease text, lease_ms int8
-- cols: id int8, body text, tries_left int4, created_ms int8
-- rows: at most one
UPDATE queue_item SET lease = $1, available_after_ms = kade_now_ms() + $2, retries_remaining = retries_remaining - 1 WHERE id = ANY(ARRAY(
  SELECT id FROM queue_item WHERE queue = 'mail' AND retries_remaining > 0 AND available_after_ms <= kade_now_ms()
    AND (expires_ms IS NULL OR expires_ms > kade_now_ms()) ORDER BY available_after_ms LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING id, body, retries_remaining, created_ms;

-- name: mail_done
-- args: id int8, lease text
-- cols: none
DELETE FROM queue_item WHERE id = $1 AND lease = $2;

-- tries: how many are left from now on; 0: dead, kept until it expires.
-- name: mail_later
-- args: id int8, lease text, wait_ms int8, tries int4
-- cols: none
UPDATE queue_item SET lease = NULL, available_after_ms = kade_now_ms() + $3, retries_remaining = $4 WHERE id = $1 AND lease = $2;

-- name: mail_remove_expired
-- args: max_items int8
-- cols: none
DELETE FROM queue_item WHERE id = ANY(ARRAY(
  SELECT id FROM queue_item WHERE queue = 'mail' AND expires_ms < kade_now_ms() ORDER BY expires_ms LIMIT $1 FOR UPDATE SKIP LOCKED));

-- Wakes a resident job. On its own, never in a transaction that does anything else.
-- name: job_wake
-- args: channel text
-- cols: woken text
-- rows: one
SELECT pg_notify($1, '')::text;

-- name: account_code_add
-- args: account_id int8, code_hash bytea, purpose int4, address text, life_ms int8
-- cols: expires_ms int8
-- rows: one
INSERT INTO account_code (account_id, code_hash, purpose, new_email, expires_ms) VALUES ($1, $2, $3, $4, kade_now_ms() + $5) RETURNING expires_ms;

-- A code is used up, with all others of its purpose. No row: it is none, too old, of somebody who is locked out, or the address
-- that it went to is no longer the account's.
-- name: account_code_use
-- args: code_hash bytea, first_purpose int4, last_purpose int4
-- cols: account_id int8, uuid text, name text, email text?, purpose int2, address text, has_prompts bool
-- rows: at most one
WITH d AS (DELETE FROM account_code WHERE code_hash = $1 AND purpose BETWEEN $2 AND $3
  RETURNING id, account_id, purpose, new_email, expires_ms > kade_now_ms() AS is_good),
others AS (DELETE FROM account_code c USING d WHERE c.account_id = d.account_id AND c.purpose = d.purpose AND c.id <> d.id)
SELECT a.id, a.uuid, a.name, a.email, d.purpose, d.new_email, EXISTS (SELECT 1 FROM account_prompt p WHERE p.account_id = a.id)
FROM d JOIN account a ON a.id = d.account_id AND a.kind = 1 AND a.is_enabled
WHERE d.is_good AND (d.purpose = 2 OR lower(a.email) = lower(d.new_email));

-- name: account_verify
-- args: account_id int8
-- cols: none
UPDATE account SET is_verified = true WHERE id = $1 AND NOT is_verified;

-- What the answer to a wish for recovery depends on.
-- name: recovery_address
-- args: address text
-- cols: is_user bool, organization text?
-- rows: one
SELECT EXISTS (SELECT 1 FROM account WHERE lower(email) = lower($1) AND kind = 1 AND email IS NOT NULL AND is_enabled),
  (SELECT name FROM account WHERE lower(email) = lower($1) AND kind = 2 AND email IS NOT NULL AND is_enabled ORDER BY id LIMIT 1);

-- name: recovery_user
-- args: address text
-- cols: id int8, name text, email text
-- rows: at most one
SELECT id, name, email FROM account WHERE lower(email) = lower($1) AND kind = 1 AND email IS NOT NULL AND is_enabled;

-- Organizations with that address, and who can sign in to administrate them.
-- name: recovery_organizations
-- args: address text
-- cols: name text, admins text
-- rows: any
SELECT o.name, COALESCE((SELECT string_agg(x.name, ', ' ORDER BY x.name) FROM (
  SELECT DISTINCT u.name FROM team t JOIN team_member m ON m.team_id = t.id JOIN account u ON u.id = m.account_id AND u.kind = 1
  WHERE t.organization_id = o.id AND t.role = 3 ORDER BY u.name LIMIT 20) x), '')
FROM account o WHERE lower(o.email) = lower($1) AND o.kind = 2 AND o.email IS NOT NULL AND o.is_enabled ORDER BY o.name LIMIT 20;

-- name: repository_email_load
-- args: facts, email text
-- cols: facts, email text?, is_confirmed bool
-- rows: one
SELECT f.*, e.email, e.confirmed_ms IS NOT NULL
FROM repo_facts($1, $2, $3, $4, $5, $6) f LEFT JOIN repository_email e ON e.repository_id = f.repository_id AND e.email = $7;

-- Asked, or asked again: the code of an earlier mail ends.
-- name: repository_email_put
-- args: repository_id int8, email text, code_hash bytea
-- cols: none
INSERT INTO repository_email (repository_id, email, code_hash) VALUES ($1, $2, $3)
ON CONFLICT (repository_id, email) DO UPDATE SET code_hash = $3, asked_ms = kade_now_ms() WHERE repository_email.confirmed_ms IS NULL;

-- name: repository_email_confirm
-- args: code_hash bytea, life_ms int8
-- cols: email text, namespace text, repository text
-- rows: at most one
WITH u AS (UPDATE repository_email SET confirmed_ms = kade_now_ms(), code_hash = NULL
  WHERE code_hash = $1 AND asked_ms > kade_now_ms() - $2 RETURNING repository_id, email)
SELECT u.email, n.name, r.name FROM u JOIN repository r ON r.id = u.repository_id AND r.state <> 3 JOIN account n ON n.id = r.namespace_id;

-- name: repository_email_is_confirmed
-- args: repository_id int8, email text
-- cols: yes bool
-- rows: one
SELECT EXISTS (SELECT 1 FROM repository_email WHERE repository_id = $1 AND email = $2 AND confirmed_ms IS NOT NULL);
