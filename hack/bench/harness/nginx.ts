import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cluster } from '../../cluster/cluster.ts';
import { assignPorts } from '../../cluster/ports.ts';
import { answersOk } from '../../cluster/probe.ts';
import type { SupervisedProcess } from '../../cluster/process.ts';

/** nginx as Debian's package installs it, which is not on everybody's PATH. */
const places = ['nginx', '/usr/sbin/nginx'];
const portName = 'benchNginx';
const readyDeadlineMs = 10_000;

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

/**
 * Starts nginx as a reverse proxy in one process: TLS in front, with the certificate of Sojourn's proxy, so that both
 * do that part alike, and plain HTTP with kept connections behind. It ends with the cluster at the latest.
 * @param upstream `host:port`; it answers 200 at /health.
 */
export async function startNginx(nginx: Nginx, cluster: Cluster, upstream: string): Promise<NginxProxy> {
  const { plane } = cluster;
  const dir = join(plane.dir, 'nginx');
  await mkdir(dir, { recursive: true });
  const { [portName]: port } = await assignPorts(plane.portsFile, [portName]);
  const config = join(dir, 'nginx.conf');
  await writeFile(config, configuration({ dir, port, upstream, ...plane.pki.sojournProxy }));
  const process = await plane.supervisor.start({
    name: 'nginx',
    file: nginx.file,
    args: ['-e', 'stderr', '-p', dir, '-c', config],
  });
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
events { worker_connections 256; }
http {
  access_log off;
  ${folders.map((name) => `${name}_temp_path ${dir}/${name};`).join('\n  ')}
  upstream daemon { server ${upstream}; keepalive 32; keepalive_requests 1000000; }
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${cert};
    ssl_certificate_key ${key};
    keepalive_requests 1000000;
    keepalive_timeout 120s;
    location / {
      proxy_pass http://daemon;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
}
