/** `GET /v1/audio/speech/ws`: text in, sound out, while both are made. The protocol is in socket-messages.ts and socket-session.ts. */
import { waitUntil } from 'cloudflare:workers';
import { Hono } from 'hono';
import { CosyError } from '../../shared/errors/index.ts';
import { checkStillGood, requireScope } from '../auth/authenticate.ts';
import { SOCKET_PROTOCOL } from '../auth/credential.ts';
import type { EdgeContext } from '../env.ts';
import { regionOf } from '../route/regions.ts';
import type { Operation } from './operation.ts';
import { SocketSession } from './socket-session.ts';

export const socketOperations: readonly Operation[] = [
  { method: 'get', path: '/v1/audio/speech/ws', id: 'openSpeechSocket', tag: 'speech', summary: 'Speak a text while it is written, over a WebSocket', scope: 'speech', answers: { 101: { description: 'Messages are JSON; each audio.chunk is followed by its sound as one binary message.' } } },
];

export const speechSocket = new Hono<EdgeContext>();

speechSocket.get('/', (c) => {
  requireScope(c.get('caller'), 'speech');
  if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') throw new CosyError('invalid_value', 'This address speaks WebSocket: connect with wss:// or ws://.');
  const { 0: client, 1: server } = new WebSocketPair();
  server.binaryType = 'arraybuffer';
  server.accept();
  const { env } = c;
  const caller = c.get('caller');
  new SocketSession(server, { requestId: c.get('requestId'), caller, env, region: regionOf(c.req.raw, env) }, () => checkStillGood(caller, env, waitUntil)).start();
  const offered = c.req.header('sec-websocket-protocol')?.split(/,\s*/) ?? [];
  return new Response(null, { status: 101, webSocket: client, headers: offered.includes(SOCKET_PROTOCOL) ? { 'sec-websocket-protocol': SOCKET_PROTOCOL } : {} });
});
