import { expect } from 'chai';
import { until } from '../../support/until.ts';
import { startGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';
import { useActivity } from './workplace.ts';

describe('calls through the proxy', () => {
  const env = useActivity();

  it('keep their session alive, a stream for as long as it lasts; a stopping proxy writes what is left', async () => {
    const upstream = env.add(
      await startUpstream((request, response) => {
        response.write('data: begun\n\n');
        if (request.url === '/once') response.end();
      }),
    );
    await env.create('called', {
      endpoints: [{ pathPrefix: '/', port: upstream.port, protocol: 'HTTP' }],
      spec: { idleTimeout: '10m0s' },
    });
    await env.sessions.makeReady('called');
    const gateway = await startGateway({ client: env.client });
    try {
      expect(await gateway.call(env.namespace, 'called', { target: '/once' })).to.contain('200 OK');
      expect(gateway.path.activity.size).to.equal(1);
      const stream = gateway.call(env.namespace, 'called', { target: '/stream' }).catch(() => 'cut');
      const inFlight = gateway.registry.getSingleMetric('sojourn_invocations_in_flight');
      await until('the stream', async () => (await inFlight?.get())?.values.some(({ value }) => value > 0));
      expect((await env.stored('called')).activityAt).to.equal(undefined);
      const stoppedAt = Date.now();
      await gateway.stop();
      await stream;
      const { activityAt, endsAt } = await env.stored('called');
      expect(activityAt).to.be.at.least(stoppedAt - 1_000);
      expect(endsAt).to.equal((activityAt ?? 0) + 750_000);
    } finally {
      await gateway.stop();
    }
  });
});
