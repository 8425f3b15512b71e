import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SetupError } from '../kube/setup-error.ts';
import { type Shell, StepFailed } from './shell.ts';

const base = '/apis/sojourn.dev/v1alpha1/namespaces/default/sessions';
const demoAccount = 'sojourn-demo';

/** What a user of Sojourn sees, from the first command to the last. */
export async function tellStory(shell: Shell): Promise<void> {
  requireTool('curl', 'curl (Debian: apt-get install curl)');
  const folder = await mkdtemp(join(tmpdir(), 'sojourn-story-'));
  try {
    const name = await create(shell);
    await invokeThroughKubectl(shell, folder);
    await invokeThroughProxy(shell, folder);
    await refuse(shell, name);
    await end(shell, name);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function create(shell: Shell): Promise<string> {
  shell.say('A native Kubernetes resource, served by an aggregated API server');
  await shell.run('kubectl get apiservice v1alpha1.sojourn.dev', { shows: /True/ });
  await shell.run('kubectl api-resources --api-group=sojourn.dev', { shows: /sessions\s+sess\s/ });
  await shell.run('kubectl explain session.spec.idleTimeout', { shows: /how long the session may be unused/i });
  await shell.run('kubectl apply -f deploy/examples/code-interpreter.yaml', { shows: /codeinterpreter.*py/ });

  shell.say('alice creates a session and waits for it');
  const watch = shell.begin('kubectl get sessions --watch --output-watch-events');
  const created = await shell.run('kubectl create -f deploy/examples/session.yaml -o name', {
    as: 'alice',
    shows: /session.*py-/,
  });
  const name = created.split('/').at(-1) ?? '';
  shell.set('NAME', name);
  await shell.run('kubectl wait --for=condition=Ready session/$NAME --timeout=60s', {
    as: 'alice',
    shows: /condition met/,
  });
  await watch.end({ shows: new RegExp(`ADDED +${name}[^]*MODIFIED +${name} +py +Ready`) });
  await shell.run('kubectl get sessions', { as: 'alice', shows: /NAME +RUNTIME +PHASE +IDLE +EXPIRES +AGE/ });
  await shell.run('kubectl get sess $NAME -o wide', { as: 'alice', shows: /alice +Cold/ });
  await shell.run('kubectl get session $NAME -o yaml', { as: 'alice', shows: /phase: Ready/ });
  return name;
}

async function invokeThroughKubectl(shell: Shell, folder: string): Promise<void> {
  shell.say('She runs code in it, through kube-apiserver, under RBAC');
  const file = await executeFile(shell, folder);
  await shell.run(`cat ${file}`);
  await shell.run(`kubectl create --raw ${base}/$NAME/proxy/api/execute -f ${file}`, { as: 'alice', shows: /5050/ });
  shell.say('What is underneath');
  await shell.run('kubectl get sandboxes,pods', { shows: /pod\/.*1\/1 +Running/ });
  await shell.run('kubectl logs $NAME --tail=3', { shows: /\S/ });
}

async function invokeThroughProxy(shell: Shell, folder: string): Promise<void> {
  shell.say('The same path on the proxy, with a token of a ServiceAccount that may');
  const apply = 'kubectl apply -f -';
  await shell.run(`kubectl create serviceaccount ${demoAccount} --dry-run=client -o yaml | ${apply}`);
  const binding = `kubectl create rolebinding ${demoAccount} --clusterrole=sojourn-session-user --serviceaccount=default:${demoAccount}`;
  await shell.run(`${binding} --dry-run=client -o yaml | ${apply}`);
  shell.set('TOKEN', await shell.run(`kubectl create token ${demoAccount} --duration=10m`, { quiet: 'output' }));
  const file = await executeFile(shell, folder);
  const curl = `curl --silent --show-error --fail-with-body --cacert "$SOJOURN_CA" -H "Authorization: Bearer $TOKEN"`;
  const url = `"$SOJOURN_PROXY_URL${base}/$NAME/proxy/api`;
  await shell.run(`${curl} -H 'Content-Type: application/json' --data @${file} ${url}/execute"`, { shows: /5050/ });

  shell.say('Files up and down');
  const original = join(folder, 'report.txt');
  const copy = join(folder, 'copy.txt');
  await writeFile(original, 'every byte comes back: ä ö ü\n');
  await shell.run(`${curl} -F path=results/report.txt -F file=@${original} ${url}/files"`, { shows: /"size": ?\d+/ });
  await shell.run(`${curl} ${url}/files?path=results"`, { shows: /report\.txt/ });
  await shell.run(`${curl} -o ${copy} ${url}/files/results/report.txt"`);
  if ((await readFile(copy, 'utf8')) !== (await readFile(original, 'utf8'))) {
    throw new StepFailed('The file that came back is not the file that was sent.');
  }
  await shell.run(`cmp ${original} ${copy}`);
}

async function refuse(shell: Shell, name: string): Promise<void> {
  shell.say('bob may look, and nothing else');
  await shell.run('kubectl get sessions', { as: 'bob', shows: new RegExp(name) });
  await shell.run('kubectl create -f deploy/examples/session.yaml', {
    as: 'bob',
    code: 'not zero',
    shows: /Forbidden|forbidden/,
  });
  await shell.run(`kubectl create --raw ${base}/$NAME/proxy/api/execute -f deploy/examples/execute.json`, {
    as: 'bob',
    code: 'not zero',
    shows: /cannot create resource "sessions\/proxy"/,
  });
  shell.say('Nobody gets anything without credentials, and session data has one door only');
  await shell.run(`curl --silent --cacert "$SOJOURN_CA" "$SOJOURN_PROXY_URL${base}/$NAME/proxy/health"`, {
    shows: /"code": ?401/,
  });
  await shell.run('kubectl annotate sandbox $NAME sojourn.dev/session=forged --overwrite', {
    code: 'not zero',
    shows: /written through sessions\.sojourn\.dev only/,
  });
}

async function end(shell: Shell, name: string): Promise<void> {
  shell.say('alice is done');
  await shell.run('kubectl delete session $NAME', { as: 'alice', shows: /deleted/ });
  await shell.run('kubectl get session $NAME', { as: 'alice', code: 1, shows: new RegExp(`"${name}" not found`) });
  await shell.run('kubectl wait --for=delete pod/$NAME --timeout=60s');
  await shell.run(`kubectl delete rolebinding,serviceaccount ${demoAccount}`);
}

/** The command file of the example; without Python on this machine, one that needs only sh. */
async function executeFile(shell: Shell, folder: string): Promise<string> {
  if (hasTool('python3')) return 'deploy/examples/execute.json';
  shell.say('python3 is not on this machine (install it for the example as written): sh computes the same');
  const file = join(folder, 'execute.json');
  await writeFile(file, '{"command": ["sh", "-c", "echo $((100 * 101 / 2))"]}\n');
  return file;
}

function hasTool(name: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
}

function requireTool(name: string, whatToInstall: string): void {
  if (!hasTool(name)) throw new SetupError(`The demo needs ${name}: install ${whatToInstall}.`);
}
