import { useControlPlane, useNamespace } from '../../../support/control-plane.ts';
import { startGateway, type TestGateway } from '../../support/gateway.ts';
import { TestSessions } from '../../support/sessions.ts';

/** A gateway with keys of its own, whom bob calls, and the sessions behind it; there from a suite's before hooks on. */
export interface KeyedGateway {
  readonly namespace: string;
  readonly sessions: TestSessions;
  readonly gateway: TestGateway;
}

/** Gives a suite a gateway and a namespace that holds both the gateway's key Secrets and its sessions. */
export function useKeyedGateway(): KeyedGateway {
  const plane = useControlPlane();
  const namespace = useNamespace(plane);
  let running: Pick<KeyedGateway, 'sessions' | 'gateway'> | undefined;
  const started = () => {
    if (running === undefined) throw new Error('the gateway is there from the before hooks on');
    return running;
  };
  before(async () => {
    const gateway = await startGateway({
      client: plane.client,
      readyTimeoutMs: 10_000,
      keyNamespace: namespace.name,
      user: { username: 'bob', uid: 'uid-of-bob', groups: [] },
    });
    running = { sessions: new TestSessions(plane.client, () => namespace.name), gateway };
  });
  after(async () => await running?.gateway.stop());
  return {
    get namespace() {
      return namespace.name;
    },
    get sessions() {
      return started().sessions;
    },
    get gateway() {
      return started().gateway;
    },
  };
}
