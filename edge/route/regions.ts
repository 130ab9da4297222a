/** Where a request comes from, and which regions of nodes are near to it. */
import { REGIONS } from '../../shared/contract/heartbeat.ts';
import type { Region } from '../../shared/contract/heartbeat.ts';
import type { Residency } from '../caller.ts';
import type { Env } from '../env.ts';

/** From the nearest on, by the time a packet takes; `local` is first everywhere. A region that is out is followed by the next. */
const NEARNESS: Readonly<Record<Region, readonly Region[]>> = {
  local: ['local', 'na-east', 'na-west', 'eu', 'asia', 'me', 'sa', 'oc', 'af'],
  'na-west': ['local', 'na-west', 'na-east', 'asia', 'eu', 'oc', 'sa', 'me', 'af'],
  'na-east': ['local', 'na-east', 'na-west', 'eu', 'sa', 'me', 'af', 'asia', 'oc'],
  sa: ['local', 'sa', 'na-east', 'na-west', 'eu', 'af', 'me', 'oc', 'asia'],
  eu: ['local', 'eu', 'me', 'na-east', 'af', 'na-west', 'asia', 'sa', 'oc'],
  me: ['local', 'me', 'eu', 'asia', 'af', 'na-east', 'na-west', 'oc', 'sa'],
  af: ['local', 'af', 'eu', 'me', 'na-east', 'asia', 'sa', 'na-west', 'oc'],
  asia: ['local', 'asia', 'oc', 'me', 'na-west', 'eu', 'na-east', 'af', 'sa'],
  oc: ['local', 'oc', 'asia', 'na-west', 'na-east', 'me', 'eu', 'sa', 'af'],
};

/** Where Cloudflare is asked to put the registry of a region. */
export const LOCATION_HINTS: Readonly<Record<Region, DurableObjectLocationHint | undefined>> = {
  local: undefined,
  'na-west': 'wnam',
  'na-east': 'enam',
  sa: 'sam',
  eu: 'weur',
  me: 'me',
  af: 'afr',
  asia: 'apac',
  oc: 'oc',
};

/** `REGION` when the operator set it (one machine, a test), else what Cloudflare knows of the caller's place. */
export function regionOf(request: Request, env: Env): Region {
  if (env.REGION !== undefined) return homeRegion(env);
  const cf = request.cf as IncomingRequestCfProperties | undefined;
  const longitude = Number(cf?.longitude ?? 0);
  switch (cf?.continent) {
    case 'NA':
      return longitude < WEST_OF ? 'na-west' : 'na-east';
    case 'SA':
      return 'sa';
    case 'EU':
      return 'eu';
    case 'AF':
      return 'af';
    case 'OC':
      return 'oc';
    case 'AS':
      return longitude < EAST_OF ? 'me' : 'asia';
    default:
      return 'local';
  }
}

/** Where this Worker is when no request says it. */
export function homeRegion(env: Env): Region {
  return REGIONS.find((region) => region === env.REGION) ?? 'local';
}

/** Between Denver and Dallas; between Dubai and Karachi. Degrees of longitude. */
const WEST_OF = -100;
const EAST_OF = 60;

/** The regions whose nodes may speak for a tenant, nearest first. A tenant that is pinned has only its own. */
export function regionsFor(from: Region, residency: Residency | undefined): readonly Region[] {
  return residency === undefined ? NEARNESS[from] : [residency];
}
