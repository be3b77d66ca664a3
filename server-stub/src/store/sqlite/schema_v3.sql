-- The last tile of leaf hashes is not kept any more before it is full: the entries say the same.
DELETE FROM log_tile WHERE level = 0 AND length(hashes) < 256 * 32;

-- When a handset was last seen stands with its chains: a batch changes that row anyway, and the
-- handset's own is long.
ALTER TABLE chain ADD COLUMN last_seen INTEGER;
UPDATE chain SET last_seen = (SELECT h.last_seen FROM handset h WHERE h.handset = chain.handset);
ALTER TABLE handset DROP COLUMN last_seen;

-- Records in the order in which they came, so that only their indices are written all over the
-- file: an index has ten times as many entries to a page.
CREATE TABLE record_by_leaf (
  leaf INTEGER PRIMARY KEY,
  handset INTEGER NOT NULL REFERENCES handset,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  sha256 BLOB NOT NULL,
  created INTEGER NOT NULL,
  received INTEGER NOT NULL,
  policy INTEGER NOT NULL,
  -- The declaration that an amendment or withdrawal is about.
  refers_to BLOB
) STRICT;
INSERT INTO record_by_leaf
SELECT leaf, handset, stream, seq, id, kind, sha256, created, received, policy, refers_to
FROM record ORDER BY leaf;
DROP TABLE record;
ALTER TABLE record_by_leaf RENAME TO record;
CREATE UNIQUE INDEX record_place ON record (handset, stream, seq);
CREATE UNIQUE INDEX record_id ON record (id);
