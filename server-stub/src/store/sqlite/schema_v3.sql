-- The last tile of leaf hashes is not kept any more before it is full: the entries say the same.
DELETE FROM log_tile WHERE level = 0 AND length(hashes) < 256 * 32;

-- When a handset was last seen stands with its chains: a batch changes that row anyway, and the
-- handset's own is long.
ALTER TABLE chain ADD COLUMN last_seen INTEGER;
UPDATE chain SET last_seen = (SELECT h.last_seen FROM handset h WHERE h.handset = chain.handset);
ALTER TABLE handset DROP COLUMN last_seen;
