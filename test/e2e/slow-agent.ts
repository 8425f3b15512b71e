/** A program for `local/process`: answers `/wait` when somebody asks for `/go`, everything else at once. */
export const slowAgent = `
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
export function slowRuntime(namespace: string): object {
  return {
    apiVersion: 'runtime.agentcube.volcano.sh/v1alpha1',
    kind: 'AgentRuntime',
    metadata: { name: 'slow', namespace },
    spec: {
      targetPort: [{ pathPrefix: '/', port: 9000 }],
      podTemplate: {
        spec: {
          containers: [
            {
              name: 'slow',
              image: 'local/process',
              command: [process.execPath, '--input-type=module', '-e', slowAgent],
              env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
            },
          ],
        },
      },
    },
  };
}
