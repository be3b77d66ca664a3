-- Handsets that were revoked and let back in, with what was said both times.
CREATE TABLE reinstatement (
  reinstatement INTEGER PRIMARY KEY,
  handset INTEGER NOT NULL REFERENCES handset,
  revoked INTEGER NOT NULL,
  revoked_reason TEXT NOT NULL,
  reinstated INTEGER NOT NULL,
  reason TEXT NOT NULL
) STRICT;
CREATE INDEX reinstatement_handset ON reinstatement (handset);
