import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'chai';
import { guardRequirements } from '../../apiserver/guard.ts';
import { ensureBinaries } from '../../hack/kube/binaries.ts';
import { checkout } from '../../hack/start/places.ts';

/** The documents of a kustomization by kind and name. */
async function render(folder: string): Promise<Map<string, string>> {
  const { kubectl } = await ensureBinaries({ report: () => undefined });
  const { stdout, stderr, status } = spawnSync(
    kubectl.file,
    [...kubectl.args, 'kustomize', join(checkout, 'deploy', folder)],
    { encoding: 'utf8' },
  );
  expect(status, stderr).to.equal(0);
  const documents = stdout.split(/^---$/m).map((text) => text.trim());
  return new Map(
    documents.map((text) => [`${/^kind: (.+)$/m.exec(text)?.[1]} ${/^ {2}name: (.+)$/m.exec(text)?.[1]}`, text]),
  );
}

describe('deploy/overlays/local', () => {
  it('is the release but for the Service and two people', async () => {
    const [base, local] = await Promise.all([render('base'), render('overlays/local')]);
    const differing = [...base].filter(([key, text]) => local.get(key) !== text).map(([key]) => key);
    expect(differing).to.deep.equal(['Service sojourn-apiserver']);
    expect([...local.keys()].filter((key) => !base.has(key))).to.deep.equal(['RoleBinding alice', 'RoleBinding bob']);
    expect(local.get('Service sojourn-apiserver')).to.contain('externalName: localhost');
  });

  it('has as many rules of each guard as the API server insists on', async () => {
    const base = await render('base');
    for (const { name, validations } of guardRequirements) {
      const [, rules = ''] = (base.get(`ValidatingAdmissionPolicy ${name}`) ?? '').split(/^ {2}validations:$/m);
      const [own = ''] = rules.split(/^ {2}variables:$/m);
      expect([...own.matchAll(/^ {2}- expression:|^ {4}expression:/gm)], name).to.have.length(validations);
    }
  });

  it('gives our accounts no wildcard, no impersonation and no Secrets but their own', async () => {
    const base = await render('base');
    const roles = [...base].filter(([key]) => /^(Cluster)?Role sojourn-(apiserver|proxy|keys)$/.test(key));
    expect(roles.map(([key]) => key)).to.have.members([
      'ClusterRole sojourn-apiserver',
      'ClusterRole sojourn-proxy',
      'Role sojourn-keys',
    ]);
    for (const [key, text] of roles) {
      expect(text, key).not.to.match(/['"]\*['"]|impersonate|escalate/);
      if (key.startsWith('ClusterRole')) expect(text, key).not.to.contain('secrets');
    }
  });
});
