import { expect } from 'chai';
import fc from 'fast-check';
import { formatDuration, parseDuration } from '../../../apis/v1alpha1/duration.ts';
import { fromSandboxLabelKey, toSandboxLabelKey } from '../../../apis/v1alpha1/labels.ts';
import { metadataCauses } from '../../../apis/v1alpha1/metadata-rules.ts';
import { newSandbox } from '../../../apis/v1alpha1/new-sandbox.ts';
import { sandboxPodTemplate, trustAnchorOf } from '../../../apis/v1alpha1/pod-template.ts';
import { completeSpec, specCauses } from '../../../apis/v1alpha1/spec-rules.ts';
import { anchors, runtime, spec } from './samples.ts';

const limits = { idleTimeout: '15m', maxDuration: '8h' };

describe('session rules', () => {
  it('reads durations as Go does', () => {
    const cases: [string, number][] = [
      ['15m', 900_000],
      ['1h30m', 5_400_000],
      ['1.5h', 5_400_000],
      ['300ms', 300],
      ['0', 0],
      ['-1s', -1000],
    ];
    for (const [text, ms] of cases) expect(parseDuration(text), text).to.equal(ms);
    for (const text of ['', '15', 'm', '1d', '1h ', ' 1h', '1e3s', `${'9'.repeat(100)}s`]) {
      expect(() => parseDuration(text), text).to.throw(RangeError);
    }
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1e7 }),
        (seconds) => parseDuration(formatDuration(seconds * 1000)) === seconds * 1000,
      ),
    );
  });

  it('fills in the limits of the runtime and never defaults idleTimeout above maxDuration', () => {
    expect(completeSpec({ runtimeRef: spec.runtimeRef }, limits)).to.deep.equal(spec);
    expect(completeSpec({ runtimeRef: spec.runtimeRef, maxDuration: '5m' }, limits)).to.include({
      idleTimeout: '5m',
      maxDuration: '5m',
    });
  });

  it('names every field that is wrong, with its rule', () => {
    const causes = specCauses({ ...spec, idleTimeout: '10h', maxDuration: '9h' }, limits);
    expect(causes.map(({ field }) => field)).to.deep.equal(['spec.idleTimeout', 'spec.maxDuration']);
    expect(causes[1]?.message).to.contain('maxSessionDuration (8h)');
  });

  it('refuses names that cannot be a Pod’s and accepts prefixes that end in a dash', () => {
    const field = (metadata: object) => metadataCauses(metadata).map((cause) => cause.field);
    expect(field({ name: 'Bad_Name' })).to.deep.equal(['metadata.name']);
    expect(field({ name: 'a'.repeat(64) })).to.deep.equal(['metadata.name']);
    expect(field({ name: 'a.b' })).to.deep.equal(['metadata.name']);
    expect(field({})).to.deep.equal(['metadata.name']);
    expect(field({ generateName: 'py-' })).to.deep.equal([]);
    expect(field({ generateName: '-py' })).to.deep.equal(['metadata.generateName']);
  });

  it('refuses owners that belong to agent-sandbox and finalizers that cannot be', () => {
    const owner = { apiVersion: 'extensions.agents.x-k8s.io/v1beta1', kind: 'SandboxClaim', name: 'c', uid: 'u' };
    expect(metadataCauses({ name: 'a', ownerReferences: [owner] })[0]?.reason).to.equal('FieldValueForbidden');
    const refused = (...finalizers: string[]) => metadataCauses({ name: 'a', finalizers }).map(({ field }) => field);
    for (const finalizers of [['a b'], ['sojourn.dev/orphan'], ['orphan', 'foregroundDeletion']]) {
      expect(refused(...finalizers), finalizers.join()).to.deep.equal(['metadata.finalizers']);
    }
    expect(refused('example.com/mine', 'orphan')).to.deep.equal([]);
  });

  it('mirrors label keys and back', () => {
    expect(toSandboxLabelKey('app')).to.equal('u.sojourn.dev/app');
    expect(toSandboxLabelKey('foo.com/bar')).to.equal('foo.com.u.sojourn.dev/bar');
    for (const key of ['app', 'foo.com/bar', 'sojourn.dev/session', 'u.sojourn.dev/x']) {
      expect(fromSandboxLabelKey(toSandboxLabelKey(key)), key).to.equal(key);
    }
    expect(fromSandboxLabelKey('sojourn.dev/session')).to.equal(undefined);
    expect(fromSandboxLabelKey('agents.x-k8s.io/launch-type')).to.equal(undefined);
  });

  it('puts the whole session into one Sandbox: document, labels, deadline', () => {
    const session = {
      metadata: { name: 'a', namespace: 'n', labels: { app: 'x' } },
      spec,
      runtime,
      user: { username: 'alice' },
      now: 1_700_000_000_999,
    };
    const sandbox = newSandbox(session, anchors);
    expect(sandbox.spec).to.include({
      shutdownTime: '2023-11-14T22:32:05Z',
      shutdownPolicy: 'Delete',
      operatingMode: 'Running',
    });
    expect(sandbox.metadata.labels).to.deep.equal({ 'sojourn.dev/session': 'true', 'u.sojourn.dev/app': 'x' });
  });

  it('gives the sandbox the root key, its own name and address, a probe and no credential of the namespace', () => {
    const template = sandboxPodTemplate(runtime, anchors);
    const [container] = template.spec.containers ?? [];
    expect(template.spec.automountServiceAccountToken).to.equal(false);
    expect(template.metadata?.labels).to.deep.equal({ 'sojourn.dev/runtime': 'py' });
    expect(container?.env?.map(({ name }) => name)).to.deep.equal([
      'SOJOURN_ROOT_KEY',
      'SOJOURN_NAMESPACE',
      'SOJOURN_SANDBOX',
      'SOJOURN_POD_UID',
      'SOJOURN_LISTEN_ADDRESS',
      'SOJOURN_LISTEN_PORT',
    ]);
    expect(container?.readinessProbe).to.deep.include({ httpGet: { path: '/health', port: 8080, scheme: 'HTTP' } });
  });

  it('gives PicoD its key, whatever the author of the runtime wrote there', () => {
    const [container] = runtime.podTemplate.spec.containers ?? [];
    const env = [
      { name: 'PICOD_AUTH_PUBLIC_KEY', value: 'forged' },
      { name: 'LANG', value: 'C' },
    ];
    const forged = { spec: { containers: [{ name: 'main', ...container, env }] } };
    const template = sandboxPodTemplate({ ...runtime, authMode: 'picod', podTemplate: forged }, anchors);
    expect(template.spec.containers?.[0]?.env).to.deep.equal([
      { name: 'LANG', value: 'C' },
      { name: 'PICOD_AUTH_PUBLIC_KEY', value: 'PICOD' },
    ]);
    expect(trustAnchorOf(template, 'picod')).to.equal('PICOD');
  });

  it('says which key a sandbox trusts', () => {
    expect(trustAnchorOf(sandboxPodTemplate(runtime, anchors), 'sojourn')).to.equal('ROOT');
    expect(trustAnchorOf(sandboxPodTemplate({ ...runtime, authMode: 'none' }, anchors), 'none')).to.equal(undefined);
    expect(trustAnchorOf(undefined, 'sojourn')).to.equal(undefined);
  });

  it('leaves a program that speaks for itself alone', () => {
    const template = sandboxPodTemplate({ ...runtime, authMode: 'none' }, anchors);
    expect(template.spec.containers?.[0]?.env).to.equal(undefined);
    expect(template.spec.containers?.[0]?.readinessProbe).to.deep.include({ tcpSocket: { port: 8080 } });
  });
});
