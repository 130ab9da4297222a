/** The node's listener on a loopback or private address. */
import { serve } from '@hono/node-server';
import type { Server } from 'node:http';
import { WebSocketServer } from 'ws';
import { CosyError } from '../../shared/errors/index.ts';
import { MAX_SPEECH_BODY_BYTES } from '../../shared/limits/index.ts';
import type { nodeApp } from './app.ts';

export type Listener = { readonly url: URL; readonly close: () => Promise<void> };

/** `port` 0 takes any free one. Throws `internal_error` when the port is in use. */
export function listen(app: ReturnType<typeof nodeApp>, host: string, port: number): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_SPEECH_BODY_BYTES });
    const server = serve({ fetch: app.fetch, hostname: host, port, websocket: { server: sockets } }, (info) => {
      resolve({ url: new URL(`http://${host}:${info.port}`), close: () => close(server as Server, sockets) });
    });
    server.on('error', (error: Error) => reject(new CosyError('internal_error', `The node cannot listen on ${host}:${port} (${error.message}): choose another port with --node-port.`)));
  });
}

function close(server: Server, sockets: WebSocketServer): Promise<void> {
  // the server would wait for them
  for (const socket of sockets.clients) {
    socket.close(1001);
    socket.terminate();
  }
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
