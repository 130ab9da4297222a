/** The Worker in workerd, in a process of its own. Prints its address. */
import { startLocalEdge } from '../../../gpu-node/server/local-edge.ts';

const { NODE_KEYS = '', TOKEN_KEYS = '', ADMIN_KEY = '', NODES = '', DATA } = process.env;
const edge = await startLocalEdge({ host: '127.0.0.1', port: 0, bindings: { NODE_KEYS, TOKEN_KEYS, ADMIN_KEY, NODES, AUTH: 'on' }, dataDirectory: DATA });
console.log(edge.url.href);
process.on('SIGTERM', () => void edge.close().then(() => process.exit(0)));
