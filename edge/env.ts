/** Bindings and settings of the Worker, as wrangler.toml and gpu-node/main.ts provide them. */
export type Env = {
  /** Base URLs of the nodes this Worker may use, separated by blanks. */
  readonly NODES: string;
  /** `id:secret` of the key that signs jobs; nodes hold the same. */
  readonly NODE_KEY: string;
  /** When set, requests must carry it as bearer token. */
  readonly API_KEY?: string;
};
