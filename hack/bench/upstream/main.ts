import { createServer } from 'node:net';
import { daemonEnv } from '../../../apis/wire/daemon.ts';
import { converse } from './conversation.ts';

/**
 * The program in the sandbox of a benchmark. It stands where the daemon would and takes the same tokens without a look at
 * them, because what a daemon costs would hide what is in front of it.
 */
const { [daemonEnv.listenAddress]: host, [daemonEnv.listenPort]: port } = process.env;

createServer({ noDelay: true }, converse).listen({ host, port: Number(port), backlog: 2048 });
