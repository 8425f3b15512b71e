import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../cluster/cluster.ts';
import { assignPorts } from '../../cluster/ports.ts';
import { answersOk } from '../../cluster/probe.ts';
import type { SupervisedProcess } from '../../cluster/process.ts';
import { bulkPath, streamPath } from '../upstream/routes.ts';
import { onCore } from './cores.ts';

/** nginx as Debian's package installs it, which is not on everybody's PATH. */
const places = ['nginx', '/usr/sbin/nginx'];
const readyDeadlineMs = 30_000;
/** As we do: what comes is passed on at once. */
const unbuffered = 'proxy_buffering off; proxy_request_buffering off;';

/** An installed nginx. */
export interface Nginx {
  file: string;
  /** As `nginx -v` has it: `1.22.1`. */
  version: string;
}

/** The nginx of this machine, if there is one. */
export function findNginx(): Nginx | undefined {
  for (const file of places) {
    const { status, stderr } = spawnSync(file, ['-v'], { encoding: 'utf8' });
    if (status === 0) return { file, version: /nginx\/(\S+)/.exec(stderr)?.[1] ?? 'of unknown version' };
  }
  return undefined;
}

/** An nginx that runs as a reverse proxy. */
export interface NginxProxy {
  origin: string;
  process: SupervisedProcess;
}

export interface NginxOptions {
  /** Names the process and its folder. */
  name: string;
  /** `host:port`; it answers 200 at /health. */
  upstream: string;
  /** What it may run on; anything when undefined. */
  core: number | undefined;
}

/**
 * Starts nginx as a reverse proxy in one process: TLS in front, with the certificate of Sojourn's proxy, so that both
 * do that part alike, and plain HTTP with kept connections behind. It ends with the cluster at the latest.
 */
export async function startNginx(nginx: Nginx, cluster: Cluster, options: NginxOptions): Promise<NginxProxy> {
  const { plane } = cluster;
  const { name, upstream, core } = options;
  const dir = join(plane.dir, name);
  await mkdir(dir, { recursive: true });
  const { [name]: port = 0 } = await assignPorts(plane.portsFile, [name]);
  const config = join(dir, 'nginx.conf');
  await writeFile(config, configuration({ dir, port, upstream, ...plane.pki.sojournProxy }));
  const [file = '', ...args] = onCore(core, [nginx.file, '-e', 'stderr', '-p', dir, '-c', config]);
  const process = await plane.supervisor.start({ name, file, args });
  const origin = `https://127.0.0.1:${port}`;
  const ready = await answersOk(`${origin}/health`, { ca: cluster.caFile, client: plane.pki.admin });
  await process.ready(ready, { deadlineMs: readyDeadlineMs });
  return { origin, process };
}

function configuration(options: { dir: string; port: number; upstream: string; cert: string; key: string }): string {
  const { dir, port, upstream, cert, key } = options;
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
master_process off;
pid ${dir}/pid;
error_log stderr;
events { worker_connections 4096; }
http {
  access_log off;
  ${folders.map((name) => `${name}_temp_path ${dir}/${name};`).join('\n  ')}
  client_max_body_size 64m;
  map $http_upgrade $connection_option { '' ''; default upgrade; }
  upstream program { server ${upstream}; keepalive 64; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    keepalive_requests 1000000;
    keepalive_timeout 120s;
    proxy_http_version 1.1;
    proxy_set_header Connection $connection_option;
    proxy_set_header Upgrade $http_upgrade;
    location / { proxy_pass http://program; }
    location ${bulkPath} { proxy_pass http://program; ${unbuffered} }
    location ${streamPath} { proxy_pass http://program; ${unbuffered} }
  }
}
`;
}
