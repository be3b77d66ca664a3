-- Times are milliseconds since 1970 UTC. Digests and ids are their bytes.

-- Counts changes to the set of enrolled keys.
CREATE TABLE enrolment (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  version INTEGER NOT NULL
) STRICT;
INSERT INTO enrolment VALUES (1, 0);

CREATE TABLE handset (
  handset INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  department TEXT NOT NULL,
  label TEXT,
  spki BLOB NOT NULL,
  spki_sha256 BLOB NOT NULL UNIQUE,
  enrolled INTEGER NOT NULL,
  revoked INTEGER,
  revoked_reason TEXT,
  -- The value of enrolment.version at which this row was enrolled or revoked.
  changed INTEGER NOT NULL,
  certificate_serial BLOB,
  certificate_not_after INTEGER,
  last_seen INTEGER
) STRICT;
CREATE INDEX handset_changed ON handset (changed);

-- One-time tokens, by digest.
CREATE TABLE token (
  hash BLOB PRIMARY KEY,
  department TEXT NOT NULL,
  label TEXT,
  created INTEGER NOT NULL,
  expires INTEGER NOT NULL,
  used INTEGER,
  used_by INTEGER REFERENCES handset
) STRICT, WITHOUT ROWID;

-- The last record of each chain.
CREATE TABLE chain (
  handset INTEGER NOT NULL REFERENCES handset,
  stream TEXT NOT NULL,
  seq INTEGER NOT NULL,
  digest BLOB NOT NULL,
  PRIMARY KEY (handset, stream)
) STRICT, WITHOUT ROWID;

CREATE TABLE record (
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
  refers_to BLOB,
  leaf INTEGER NOT NULL,
  PRIMARY KEY (handset, stream, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX record_id ON record (id);

-- Bodies and leaf salts, by number of the leaf, so that they are written in order. To erase a
-- record is to delete its row here.
CREATE TABLE body (
  leaf INTEGER PRIMARY KEY,
  salt BLOB NOT NULL,
  jws TEXT NOT NULL
) STRICT;

-- The current list of each handset.
CREATE TABLE inventory (
  handset INTEGER PRIMARY KEY REFERENCES handset,
  hash BLOB NOT NULL,
  list TEXT NOT NULL,
  confirmed INTEGER NOT NULL
) STRICT;

-- The same lists, app by app, for counting.
CREATE TABLE presence (
  handset INTEGER NOT NULL REFERENCES handset,
  app TEXT NOT NULL,
  state TEXT NOT NULL,
  PRIMARY KEY (handset, app)
) STRICT, WITHOUT ROWID;

-- The last status record of each handset.
CREATE TABLE status (
  handset INTEGER PRIMARY KEY REFERENCES handset,
  received INTEGER NOT NULL,
  status TEXT NOT NULL
) STRICT;

-- What was out of order, counted by kind.
CREATE TABLE anomaly (
  handset INTEGER NOT NULL REFERENCES handset,
  stream TEXT NOT NULL,
  code TEXT NOT NULL,
  count INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  last_seq INTEGER,
  last_id BLOB,
  PRIMARY KEY (handset, stream, code)
) STRICT, WITHOUT ROWID;

-- Uploads of sealed files; what has arrived is in the attachments directory.
CREATE TABLE attachment (
  handset INTEGER NOT NULL REFERENCES handset,
  sha256 BLOB NOT NULL,
  size INTEGER NOT NULL,
  arrived INTEGER NOT NULL,
  complete INTEGER NOT NULL,
  -- A record refers to it.
  referenced INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  PRIMARY KEY (handset, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX attachment_unreferenced ON attachment (updated) WHERE referenced = 0;

-- The log's tiles: level -1 has entries, 0 to 7 hashes.
CREATE TABLE log_tile (
  level INTEGER NOT NULL,
  n INTEGER NOT NULL,
  hashes BLOB NOT NULL,
  PRIMARY KEY (level, n)
) STRICT;

CREATE TABLE log (
  only INTEGER PRIMARY KEY CHECK (only = 1),
  size INTEGER NOT NULL,
  checkpoint TEXT
) STRICT;
INSERT INTO log VALUES (1, 0, NULL);

CREATE TABLE audit (
  audit INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  who TEXT NOT NULL,
  action TEXT NOT NULL,
  record BLOB NOT NULL,
  reason TEXT NOT NULL
) STRICT;
