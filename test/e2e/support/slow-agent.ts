import { programRuntime } from './program-runtime.ts';

/** A program for `local/process`: answers `/wait` when somebody asks for `/go`, everything else at once. */
const slowAgent = `
import { createServer } from 'node:http';
const waiting = new Set();
const server = createServer((request, response) => {
  if (request.url === '/wait') {
    waiting.add(response);
    response.on('close', () => waiting.delete(response));
    return;
  }
  if (request.url === '/go') for (const held of waiting) held.end('gone');
  response.end(String(waiting.size));
});
server.listen({ port: 9000, host: process.env.POD_IP, backlog: 4096 });
`;

/** An AgentRuntime of that program. */
export const slowRuntime = programRuntime({ name: 'slow', program: slowAgent });
