import { expect } from 'chai';
import { AuditTail } from '../../../../hack/cluster/audit-tail.ts';
import type { TestCluster } from '../../../support/cluster.ts';
import { Side, type SideName } from '../support/side.ts';

/** The name of which test/support/audit-policy.yaml wants to know everything. */
const auditedInFull = 'audited-in-full';

/** What kube-apiserver adds at the level RequestResponse. */
interface Bodies {
  requestObject?: unknown;
  responseObject?: unknown;
}

/** kube-apiserver's audit knows that there was a request for a session, and not what was in it. */
export function audit(env: TestCluster): void {
  const space = env.namespace('audit');

  async function audited(name: SideName): Promise<string[]> {
    const side = new Side(name, { namespace: space.name, name: auditedInFull });
    const tail = await AuditTail.open(env.cluster.plane.dir);
    await env.client.request({
      method: 'PATCH',
      path: side.item(),
      query: { fieldManager: 'auditor' },
      contentType: 'application/apply-patch+yaml',
      body: side.manifest(),
    });
    const isIt = ({ requestURI }: { requestURI: string }) => requestURI.startsWith(side.item());
    const event = (await tail.readUntil(`the apply of the ${name}`, isIt)).find(isIt) as Bodies & { verb: string };
    return [event.verb, ...(['requestObject', 'responseObject'] as const).filter((body) => event[body] !== undefined)];
  }

  it("kube-apiserver's audit at its highest level has the bodies of requests for the twin and not for sessions", async () => {
    expect({ twin: await audited('twin'), session: await audited('session') }).to.deep.equal({
      twin: ['patch', 'requestObject', 'responseObject'],
      session: ['patch'],
    });
  });
}
