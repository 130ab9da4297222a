-- Who may ask. Secrets are not here: of a key only the hash is.
CREATE TABLE tenants (
  id TEXT PRIMARY KEY,
  plan TEXT NOT NULL,
  -- 'eu' or NULL: where the tenant's voices, results and speech may be
  residency TEXT,
  created_ms INTEGER NOT NULL
);

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
