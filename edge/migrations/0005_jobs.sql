-- Speech made in the background. No text is here: it lies in the bucket of results until it has been spoken.
CREATE TABLE jobs (
  id TEXT PRIMARY KEY,
  tenant TEXT NOT NULL,
  key_id TEXT NOT NULL,
  plan TEXT NOT NULL,
  residency TEXT,
  -- queued, running, succeeded, failed, cancelled
  status TEXT NOT NULL,
  created_ms INTEGER NOT NULL,
  -- of the last segment that was finished: what stands still for long is sent to the queue again
  updated_ms INTEGER NOT NULL,
  expires_ms INTEGER NOT NULL,
  items INTEGER NOT NULL,
  segments INTEGER NOT NULL,
  characters INTEGER NOT NULL,
  metadata TEXT,
  webhook_url TEXT,
  -- NULL, pending, delivered, failed
  webhook_status TEXT
);
CREATE INDEX jobs_by_tenant ON jobs (tenant, created_ms, id);
CREATE INDEX jobs_by_progress ON jobs (status, updated_ms);
CREATE INDEX jobs_by_expiry ON jobs (expires_ms);

CREATE TABLE job_items (
  job TEXT NOT NULL,
  item INTEGER NOT NULL,
  custom_id TEXT,
  -- as asked for; parts of a wav are stored as pcm
  format TEXT NOT NULL,
  sample_rate_hz INTEGER NOT NULL,
  PRIMARY KEY (job, item)
) WITHOUT ROWID;

-- One run of the model each. `number` counts through all items of the job.
CREATE TABLE job_segments (
  job TEXT NOT NULL,
  number INTEGER NOT NULL,
  item INTEGER NOT NULL,
  -- of its text, in bytes
  text_start INTEGER NOT NULL,
  text_bytes INTEGER NOT NULL,
  -- waiting, done, failed
  status TEXT NOT NULL,
  -- of its sound
  bytes INTEGER NOT NULL DEFAULT 0,
  audio_ms INTEGER NOT NULL DEFAULT 0,
  error_code TEXT,
  error_message TEXT,
  PRIMARY KEY (job, number)
) WITHOUT ROWID;
