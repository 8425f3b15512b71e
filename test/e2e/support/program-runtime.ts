import type { NewAgentRuntime } from '../../../hack/cluster/runtimes.ts';

/** A program of one file that listens on port 9000 of `POD_IP`. */
export interface Program {
  name: string;
  /** An ECMAScript module. */
  program: string;
}

/** An AgentRuntime whose sandboxes run a program, and are Ready once it listens. */
export function programRuntime({ name, program }: Program): NewAgentRuntime {
  return {
    name,
    kind: 'AgentRuntime',
    spec: {
      targetPort: [{ pathPrefix: '/', port: 9000 }],
      podTemplate: {
        spec: {
          containers: [
            {
              name,
              image: 'local/process',
              command: [process.execPath, '--input-type=module', '-e', program],
              env: [{ name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
              startupProbe: { tcpSocket: { port: 9000 }, periodSeconds: 1, failureThreshold: 60 },
            },
          ],
        },
      },
    },
  };
}
