/**
 * Installs what the other npm scripts need: the packages of package-lock.json, and with them the Node that this project
 * runs on. Runs before each of them, therefore silent and quick when nothing is to do, and plain JavaScript that any
 * Node from 20 on can run without a single package.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const LEAST_NODE = 20;
const HEARTBEAT_MS = 5000;

const root = fileURLToPath(new URL('../../', import.meta.url));
const modules = join(root, 'node_modules');
const lockfile = join(root, 'package-lock.json');
/** npm writes this one last, so its presence also says that an installation was completed. */
const installed = join(modules, '.package-lock.json');
/** Which package-lock.json was installed: git changes times of files whose content stays. */
const stamp = join(modules, '.sojourn-lock-hash');
const nodePackage = join(modules, 'node');
const pinnedNode = join(nodePackage, 'bin', 'node');

class InstallError extends Error {}

try {
  await install();
} catch (error) {
  if (!(error instanceof InstallError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}

async function install() {
  if (Number.parseInt(process.versions.node, 10) < LEAST_NODE) {
    throw new InstallError(
      `Node ${process.versions.node} is too old to set this project up: install Node ${LEAST_NODE} or newer from https://nodejs.org.`,
    );
  }
  const reason = reasonToInstall();
  if (reason !== undefined) await installPackages(reason);
  if (!existsSync(pinnedNode)) installPinnedNode();
}

/** Undefined when what is installed is what package-lock.json says. */
function reasonToInstall() {
  const then = modified(installed);
  if (then === undefined) return 'node_modules is missing or incomplete';
  if (then >= (modified(lockfile) ?? 0)) return undefined;
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== lockHash()) return 'package-lock.json has changed';
  utimesSync(installed, new Date(), new Date());
  return undefined;
}

async function installPackages(reason) {
  console.log(`Installing packages, because ${reason} (npm install)`);
  // Not `npm ci`: it refuses a lock file without the optional packages of every other platform, and npm writes such a
  // one wherever a registry mirror does not carry them all. With --no-save the lock file is obeyed and left as it is.
  const { code, output } = await runNpm([
    'install',
    '--no-save',
    '--include=dev',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (code !== 0) {
    throw new InstallError(
      `The packages could not be installed: "npm install" failed with exit code ${code}.\n${output}`,
    );
  }
  if (existsSync(pinnedNode)) checkPinnedNode();
  writeFileSync(stamp, lockHash());
}

/** The package `node` fetches its program by an install script, which npm can be configured not to run. */
function installPinnedNode() {
  console.log('Installing the Node that this project runs on (npm did not run the install script of its package)');
  const script = JSON.parse(readFileSync(join(nodePackage, 'package.json'), 'utf8')).scripts.preinstall;
  const [, file] = /^node (\S+)$/.exec(script) ?? [];
  const run = spawnSync('node', [file], { cwd: nodePackage, env: ownEnvironment(), encoding: 'utf8' });
  if (run.status !== 0 || !existsSync(pinnedNode)) {
    throw new InstallError(
      `Node could not be installed into ${relative(process.cwd(), nodePackage)}: allow npm to run install scripts ` +
        `and start again.\n${run.stdout ?? ''}${run.stderr ?? run.error?.message ?? ''}`,
    );
  }
  checkPinnedNode();
}

function checkPinnedNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).dependencies.node;
  const run = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' });
  if (run.stdout?.trim() !== `v${wanted}`) {
    const found = run.error?.message ?? `${run.stdout}${run.stderr}`.trim();
    throw new InstallError(
      `${pinnedNode} should be Node ${wanted} but is not (${found}): remove node_modules and start again.`,
    );
  }
}

function runNpm(args) {
  return new Promise((resolve, reject) => {
    const started = Date.now();
    const child = spawn('npm', args, { cwd: root, env: ownEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const heartbeat = setInterval(() => {
      console.log(`  npm ${args[0]}  ${Math.round((Date.now() - started) / 1000)}s`);
    }, HEARTBEAT_MS);
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.on('error', (error) => {
      clearInterval(heartbeat);
      const missing = error.code === 'ENOENT';
      reject(
        missing ? new InstallError('npm was not found: install it together with Node from https://nodejs.org.') : error,
      );
    });
    child.on('close', (code, signal) => {
      clearInterval(heartbeat);
      resolve({ code: code ?? signal, output: output.trimEnd() });
    });
  });
}

/** Without this project's own programs: npm must not run on the Node that it is about to replace. */
function ownEnvironment() {
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => !folder.startsWith(modules));
  return { ...process.env, PATH: path.join(delimiter) };
}

function lockHash() {
  return createHash('sha256').update(readFileSync(lockfile)).digest('hex');
}

function modified(file) {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs;
}
