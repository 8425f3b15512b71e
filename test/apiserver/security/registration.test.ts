import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { useCluster } from '../../support/cluster.ts';

const release = join(import.meta.dirname, '../../../deploy/base');

interface Role {
  kind: string;
  metadata: { name: string; labels?: Record<string, string> };
  rules: { apiGroups?: string[]; resources?: string[]; verbs: string[] }[];
}

async function documents<T>(file: string): Promise<T[]> {
  const parsed = parseAllDocuments(await readFile(join(release, file), 'utf8'));
  return parsed.map((document) => document.toJS() as T);
}

describe('what the release registers', () => {
  const env = useCluster();

  it('an APIService whose server must prove itself: a CA, and no insecureSkipTLSVerify', async () => {
    const text = await readFile(join(release, 'apiservice.yaml'), 'utf8');
    expect(text).not.to.contain('insecureSkipTLSVerify');
    const running = await env.kubectl(['get', 'apiservice', 'v1alpha1.sojourn.dev', '-o', 'yaml']);
    const { spec } = parse(running.stdout) as { spec: { caBundle?: string; insecureSkipTLSVerify?: boolean } };
    expect(Buffer.from(spec.caBundle ?? '', 'base64').toString()).to.match(/^-----BEGIN CERTIFICATE-----/);
    expect(spec.insecureSkipTLSVerify ?? false).to.equal(false);
  });

  it('an APIService that nobody but a cluster’s admins may write', async () => {
    for (const person of ['alice', 'bob'] as const) {
      for (const verb of ['create', 'update', 'patch', 'delete']) {
        const can = await env.kubectlAs(person, ['auth', 'can-i', verb, 'apiservices.apiregistration.k8s.io']);
        expect(can.stdout.trim(), `${person} ${verb}`).to.equal('no');
      }
    }
    for (const account of ['sojourn-apiserver', 'sojourn-proxy'] as const) {
      const { status } = await env.asAccount(account).requestRaw({
        method: 'DELETE',
        path: '/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.sojourn.dev',
        query: { dryRun: 'All' },
      });
      expect(status, account).to.equal(403);
    }
  });

  it('roles for people without a wildcard, of which the viewer’s reads and runs nothing', async () => {
    const roles = await documents<Role>('rbac-users.yaml');
    const ours = roles.filter(({ kind }) => kind.endsWith('Role'));
    expect(ours.map(({ metadata }) => metadata.name)).to.include.members([
      'sojourn-session-viewer',
      'sojourn-session-user',
    ]);
    for (const { metadata, rules } of ours) {
      for (const { apiGroups = [], resources = [], verbs } of rules) {
        expect([...apiGroups, ...resources, ...verbs], metadata.name).not.to.include('*');
        expect(resources, metadata.name).not.to.include('sessions/*');
        expect(verbs, metadata.name).not.to.include('delegate');
        if (metadata.labels?.['rbac.authorization.k8s.io/aggregate-to-view'] !== 'true') continue;
        expect(resources.filter((resource) => resource.includes('/'))).to.deep.equal([]);
        expect(verbs).to.have.members(['get', 'list', 'watch']);
      }
    }
  });
});
