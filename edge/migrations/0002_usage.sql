-- Totals of a key on a day (UTC). Written by the tenant's object; the version makes writing twice harmless.
CREATE TABLE usage (
  tenant TEXT NOT NULL,
  day TEXT NOT NULL,
  key_id TEXT NOT NULL,
  requests INTEGER NOT NULL,
  -- of the text as it was spoken, charged by what was delivered
  characters INTEGER NOT NULL,
  audio_ms INTEGER NOT NULL,
  cache_hits INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (tenant, day, key_id)
) WITHOUT ROWID;
