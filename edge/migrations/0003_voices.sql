-- Voices of tenants. What was said and heard is not here: recordings, transcripts and prompts lie in R2 (edge/voices/objects.ts).
CREATE TABLE voices (
  -- voice_…, in the order of making
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  description TEXT NOT NULL,
  language TEXT,
  prompt_key TEXT NOT NULL,
  model_revision TEXT NOT NULL,
  -- object in R2, or NULL when its owner did not want it kept
  recording TEXT,
  consent TEXT NOT NULL,
  -- JSON: shared/contract/voice.ts, reportSchema
  report TEXT NOT NULL,
  created_ms INTEGER NOT NULL
);
CREATE INDEX voices_by_tenant ON voices (tenant, id);
CREATE INDEX voices_by_name ON voices (tenant, name, id);
CREATE INDEX voices_by_prompt ON voices (prompt_key);
CREATE INDEX voices_by_recording ON voices (recording);
CREATE INDEX voices_by_consent ON voices (consent);

-- What became of an upload: being made by one request (a lease), made, or refused. Rows end; their prompts end with them unless a voice has them.
CREATE TABLE prompts (
  upload_key TEXT PRIMARY KEY,
  eu INTEGER NOT NULL,
  -- who makes it now
  owner TEXT NOT NULL,
  prompt_key TEXT,
  report TEXT,
  -- JSON: code and message of a refusal
  failure TEXT,
  until_ms INTEGER NOT NULL
);
CREATE INDEX prompts_by_key ON prompts (prompt_key);
CREATE INDEX prompts_by_end ON prompts (until_ms);

-- Who agreed to be imitated. The words or the recording lie in R2 under consents/TENANT/ID.
CREATE TABLE consents (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  language TEXT,
  -- 'recording' or 'statement'
  kind TEXT NOT NULL,
  created_ms INTEGER NOT NULL
);
CREATE INDEX consents_by_tenant ON consents (tenant, id);

-- Objects whose last row is gone and that still have to be deleted in R2, in results and on nodes.
CREATE TABLE voice_removals (
  object TEXT PRIMARY KEY,
  eu INTEGER NOT NULL,
  tenant TEXT NOT NULL,
  -- set when the object is a prompt
  prompt_key TEXT,
  created_ms INTEGER NOT NULL
);
