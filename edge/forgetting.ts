/** Where else a deleted voice was: finished sounds (`results/`) and the memory of nodes (`route/`). What `voices/` needs of the two. */
import type { Env } from './env.ts';
import { forgetVoice, shelfOf } from './results/index.ts';
import { askAllNodes } from './route/ask.ts';
import type { Elsewhere } from './voices/remove.ts';

/** A node that does not answer in time does not keep a deletion waiting. */
const NODE_MS = 3000;

export function forgetting(env: Env): Elsewhere {
  return {
    nodes: (key, { residency }) => askAllNodes({ method: 'DELETE', path: `/v1/voices/${key}` }, { env, signal: AbortSignal.timeout(NODE_MS), residency }),
    async results(key, owner) {
      const shelf = shelfOf(owner, env);
      if (shelf) await forgetVoice(key, shelf);
    },
  };
}
