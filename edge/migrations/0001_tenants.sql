-- Who may ask. Secrets are not here: of a key only the hash is.
CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  -- 'eu' or NULL: where the tenant's voices, results and speech may be
  residency TEXT,
  created_ms INTEGER NOT NULL
);

CREATE TABLE keys (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  tenant TEXT NOT NULL REFERENCES tenants (id),
  name TEXT NOT NULL,
  -- SHA-256 of the whole key in hex
  hash TEXT NOT NULL,
  -- separated by blanks
  scopes TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  expires_ms INTEGER,
  revoked_ms INTEGER,
  -- day in UTC, YYYY-MM-DD
  last_used TEXT,
  -- id of the key that this one took over from
  replaces TEXT
);
CREATE INDEX keys_by_tenant ON keys (tenant, seq);

CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  actor TEXT NOT NULL,
  what TEXT NOT NULL,
  subject TEXT NOT NULL,
  request_id TEXT NOT NULL
);
CREATE INDEX audit_by_tenant ON audit (tenant, id);

-- held by the database too: no row of the audit is changed or taken away
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit is only appended to');
END;
CREATE TRIGGER audit_kept BEFORE DELETE ON audit BEGIN
  SELECT RAISE(ABORT, 'the audit is only appended to');
END;
