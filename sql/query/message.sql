-- Messages of the operator to everybody.
-- name: messages
-- args: none
-- cols: uuid text, content text, severity text, media_type text
-- rows: any
SELECT uuid, content, severity, media_type FROM message ORDER BY created_ms, uuid LIMIT 1000;

-- name: message_add
-- args: content text, severity text, media_type text
-- cols: none
INSERT INTO message (content, severity, media_type) VALUES ($1, $2, $3);

-- name: message_remove
-- args: uuid text
-- cols: none
DELETE FROM message WHERE uuid = $1;
