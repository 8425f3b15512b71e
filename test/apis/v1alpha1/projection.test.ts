import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect } from 'chai';
import fc from 'fast-check';
import { annotations } from '../../../apis/names.ts';
import { type Failure, serializeFailure } from '../../../apis/v1alpha1/failure.ts';
import { newSandbox } from '../../../apis/v1alpha1/new-sandbox.ts';
import { projectSession } from '../../../apis/v1alpha1/projection.ts';
import type { Sandbox } from '../../../apis/v1alpha1/sandbox.ts';
import { anchors, condition, runtime, spec, storedSandbox } from './samples.ts';

const labelKey = fc.constantFrom('app', 'run', 'foo.com/bar', 'a.b-c.io/x_y', 'Tier');
const labelValue = fc.stringMatching(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?$/);
const metadata = fc.record(
  {
    name: fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/),
    labels: fc.dictionary(labelKey, labelValue, { minKeys: 1 }),
    annotations: fc.dictionary(fc.stringMatching(/^[a-z][a-z0-9]{0,10}$/), fc.string(), { minKeys: 1 }),
    finalizers: fc.uniqueArray(fc.constantFrom('a.io/x', 'foregroundDeletion', 'orphan'), { minLength: 1 }),
  },
  { requiredKeys: ['name'] },
);
const anySpec = fc.record({
  runtimeRef: fc.constant(spec.runtimeRef),
  idleTimeout: fc.constantFrom('15m', '90s', '1h30m'),
  maxDuration: fc.constantFrom('8h', '2h0m0s'),
  idleAction: fc.constantFrom('Delete' as const, 'Suspend' as const),
  suspended: fc.boolean(),
});

describe('projection of a Sandbox to a Session', () => {
  it('gives back what was created', () => {
    fc.assert(
      fc.property(metadata, anySpec, fc.string(), (given, wanted, username) => {
        const session = projectSession(
          newSandbox(
            {
              metadata: { ...given, namespace: 'ns' },
              spec: wanted,
              runtime,
              user: { username },
              now: 1_700_000_000_500,
            },
            anchors,
          ),
        );
        expect(session.spec).to.deep.equal(wanted);
        expect(session.metadata.labels).to.deep.equal(given.labels);
        expect(session.metadata.annotations).to.deep.equal(given.annotations);
        expect(session.metadata.finalizers).to.deep.equal(given.finalizers);
        expect(session.status?.user).to.deep.equal({ username });
        expect(session.metadata.creationTimestamp).to.equal('2023-11-14T22:13:20Z');
      }),
    );
  });

  it('never throws, whatever the annotations hold, and says DataInvalid when the session is unreadable', () => {
    const hostileText = fc.oneof(
      fc.string(),
      fc.json(),
      fc.constantFrom('{"__proto__":{"phase":"Ready"}}', '[]', 'null', '"x"', '{"format":2}', '['.repeat(10_000)),
    );
    fc.assert(
      fc.property(hostileText, hostileText, hostileText, (session, activity, failure) => {
        const sandbox = storedSandbox(({ metadata: stored }) => {
          stored.annotations = {
            [annotations.session]: session,
            [annotations.activity]: activity,
            [annotations.failure]: failure,
            [annotations.resumed]: activity,
          };
        });
        const { status, metadata: shown } = projectSession(sandbox);
        expect(status?.phase).to.equal('Failed');
        expect(status?.conditions?.some(({ type, status: its }) => type === 'DataInvalid' && its === 'True')).to.equal(
          true,
        );
        expect(shown.name).to.equal('py-x7k2p');
      }),
    );
    expect(({} as { phase?: string }).phase).to.equal(undefined);
  });

  it('survives every single-member change of a good document', () => {
    const good = JSON.parse(storedSandbox().metadata.annotations?.[annotations.session] ?? '') as Record<
      string,
      unknown
    >;
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(good)), fc.jsonValue(), (member, value) => {
        const sandbox = storedSandbox(({ metadata: stored }) => {
          stored.annotations = { [annotations.session]: JSON.stringify({ ...good, [member]: value }) };
        });
        expect(projectSession(sandbox).metadata.resourceVersion).to.equal('1042');
      }),
    );
  });

  it('is a function of the stored object alone: equal bytes in another process at another time', async () => {
    const sandbox = storedSandbox((stored) => {
      stored.status = {
        conditions: [condition('Ready', 'True', 'DependenciesReady')],
        podIPs: ['127.0.0.9'],
        nodeName: 'n1',
      };
    });
    const here = JSON.stringify(projectSession(sandbox));
    const module = fileURLToPath(new URL('../../../apis/v1alpha1/projection.ts', import.meta.url));
    const program = `const { projectSession } = await import(${JSON.stringify(module)}); process.stdout.write(JSON.stringify(projectSession(JSON.parse(process.argv[1]))));`;
    const there = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '-e', program, JSON.stringify(sandbox)],
      {
        env: { TZ: 'Pacific/Auckland', LANG: 'tr_TR.UTF-8' },
      },
    );
    expect(there.stdout).to.equal(here);
  });

  it('keeps the resourceVersion verbatim and gives a uid that is stable and not the Sandbox’s', () => {
    const { metadata: shown } = projectSession(storedSandbox());
    expect(shown.resourceVersion).to.equal('1042');
    expect(shown.uid).to.match(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(shown.uid).to.equal(projectSession(storedSandbox()).metadata.uid);
    expect(shown.uid).not.to.equal('3b241101-e2bb-4255-8caf-4136c566a962');
  });

  it('shows neither foreign annotations and labels nor the owners and finalizers that concern the Sandbox', () => {
    const { metadata: shown } = projectSession(
      storedSandbox(({ metadata: stored }) => {
        stored.annotations = { ...stored.annotations, 'kubectl.kubernetes.io/x': 'y' };
        stored.labels = { ...stored.labels, 'agents.x-k8s.io/launch-type': 'warm' };
        stored.finalizers = ['foregroundDeletion', 'orphan', 'sojourn.dev/foregroundDeletion', 'a.io/x'];
        stored.ownerReferences = [
          { apiVersion: 'extensions.agents.x-k8s.io/v1beta1', kind: 'SandboxWarmPool', name: 'p', uid: '1' },
          { apiVersion: 'batch/v1', kind: 'Job', name: 'j', uid: '2' },
        ];
      }),
    );
    expect(shown.annotations).to.deep.equal({ note: 'hi' });
    expect(shown.labels).to.deep.equal({ app: 'web', 'foo.com/bar': 'baz' });
    expect(shown.finalizers).to.deep.equal(['foregroundDeletion', 'a.io/x']);
    expect(shown.ownerReferences?.map(({ kind }) => kind)).to.deep.equal(['Job']);
  });

  const cases: [string, string, (sandbox: Sandbox) => void][] = [
    ['Pending', 'before the controller has seen it', () => undefined],
    ['Pending', 'while its Pod starts', ready('False', 'DependenciesNotReady')],
    ['Ready', 'when its Pod is ready', ready('True', 'DependenciesReady')],
    ['Failed', 'when its Pod has failed', ready('False', 'PodFailed')],
    ['Terminating', 'when the controller is about to delete it, past its end', ready('False', 'SandboxExpired')],
    [
      'Terminating',
      'once its deletion began, ready or not',
      (sandbox) => {
        ready('True', 'DependenciesReady')(sandbox);
        sandbox.metadata.deletionTimestamp = '2026-11-21T07:00:00Z';
      },
    ],
    ['Suspending', 'while an idle one loses its Pod', suspended({ mark: 'set', done: 'no' })],
    ['Suspended', 'when it has no Pod', suspended({ mark: 'set', done: 'yes' })],
    ['Resuming', 'when nothing holds it any more', suspended({ mark: 'none', done: 'yes' })],
    [
      'Suspended',
      'though its deadline was written since',
      (sandbox) => {
        suspended({ mark: 'set', done: 'yes' })(sandbox);
        sandbox.metadata.generation = 7;
      },
    ],
    [
      'Suspending',
      'when it was resumed and suspended again before anybody looked',
      (sandbox) => {
        suspended({ mark: 'set', done: 'yes' })(sandbox);
        sandbox.metadata.generation = 7;
        sandbox.metadata.annotations = {
          ...sandbox.metadata.annotations,
          [annotations.resumed]: '2026-11-21T06:31:00Z',
        };
      },
    ],
    [
      'Resuming',
      'until the Pod after a resume is ready',
      (sandbox) => {
        ready('False', 'DependenciesNotReady')(sandbox);
        sandbox.metadata.annotations = {
          ...sandbox.metadata.annotations,
          [annotations.resumed]: '2026-11-21T06:32:00Z',
        };
      },
    ],
    [
      'Failed',
      'when its Pod will never run, as somebody recorded',
      recorded({ reason: 'Evicted', message: 'The node was low on resource', final: true, podUid: '1' }),
    ],
    [
      'Pending',
      'when its Pod does not run, but Kubernetes goes on trying',
      recorded({ reason: 'ImagePullBackOff', message: 'not found', final: false, podUid: '1' }),
    ],
  ];
  for (const [phase, when, change] of cases) {
    it(`is ${phase} ${when}`, () => {
      expect(projectSession(storedSandbox(change)).status?.phase).to.equal(phase);
    });
  }

  const readyOf = (change: (sandbox: Sandbox) => void) =>
    projectSession(storedSandbox(change)).status?.conditions?.find(({ type }) => type === 'Ready');

  it('says in condition Ready why its Pod does not run, in the words of whoever knows', () => {
    const failure = { reason: 'OOMKilled', message: 'too much', final: false, podUid: '1' };
    expect(readyOf(recorded(failure))).to.include({ status: 'False', reason: 'OOMKilled', message: 'too much' });
    const unscheduled = readyOf((sandbox) => {
      const scheduled = { ...condition('PodScheduled', 'False', 'Unschedulable'), message: '0/3 nodes are available' };
      sandbox.status = { conditions: [condition('Ready', 'False', 'DependenciesNotReady'), scheduled] };
    });
    expect(unscheduled).to.include({ reason: 'Unschedulable', message: '0/3 nodes are available' });
  });

  it('forgets the failure of its Pod once it is ready', () => {
    const session = readyOf((sandbox) => {
      recorded({ reason: 'OOMKilled', message: 'too much', final: false, podUid: '1' })(sandbox);
      ready('True', 'DependenciesReady')(sandbox);
    });
    expect(session).to.include({ status: 'True', reason: 'DependenciesReady' });
  });

  it('takes a failure that cannot be read for none that is final', () => {
    for (const text of ['', 'null', '[]', '{"reason":1}', '{"final":true}', 'x'.repeat(1000)]) {
      const sandbox = storedSandbox((stored) => {
        ready('False', 'DependenciesNotReady')(stored);
        stored.metadata.annotations = { ...stored.metadata.annotations, [annotations.failure]: text };
      });
      expect(projectSession(sandbox).status?.phase, text).to.equal('Pending');
    }
  });

  it('raises the generation by one while it is being deleted, as kube-apiserver does', () => {
    const terminating = storedSandbox(({ metadata: stored }) => {
      stored.deletionTimestamp = '2026-11-21T07:00:00Z';
      stored.deletionGracePeriodSeconds = 0;
    });
    expect(projectSession(storedSandbox()).metadata.generation).to.equal(1);
    expect(projectSession(terminating).metadata).to.include({ generation: 2, deletionGracePeriodSeconds: 0 });
  });
});

function ready(status: 'True' | 'False', reason: string): (sandbox: Sandbox) => void {
  return (sandbox) => {
    sandbox.status = { conditions: [condition('Ready', status, reason)] };
  };
}

function recorded(failure: Failure): (sandbox: Sandbox) => void {
  return (sandbox) => {
    ready('False', 'DependenciesNotReady')(sandbox);
    sandbox.metadata.annotations = {
      ...sandbox.metadata.annotations,
      [annotations.failure]: serializeFailure(failure),
    };
  };
}

function suspended({ mark, done }: { mark: 'set' | 'none'; done: 'yes' | 'no' }): (sandbox: Sandbox) => void {
  return (sandbox) => {
    sandbox.spec = { ...sandbox.spec, operatingMode: 'Suspended' };
    if (mark === 'set')
      sandbox.metadata.annotations = { ...sandbox.metadata.annotations, [annotations.idleSuspended]: 'true' };
    const status = done === 'yes' ? 'True' : 'False';
    sandbox.status = {
      conditions: [condition('Ready', 'False', 'SandboxSuspended'), condition('Suspended', status, 'PodTerminated')],
    };
  };
}
