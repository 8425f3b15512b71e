import { connect as connectHttp2 } from 'node:http2';
import { Listener } from '../../../../apis/runtime/listener.ts';
import { createLog } from '../../../../apis/runtime/log.ts';
import { FrontProxyAuthenticator } from '../../../../apiserver/authentication/front-proxy.ts';
import {
  type RequestHeaderConfig,
  readRequestHeaderConfig,
} from '../../../../apiserver/authentication/request-header-config.ts';
import { type Credential, createAuthority, issueLeaf } from '../../../../hack/cluster/certificates.ts';
import type { UserInfo } from '../../../../proxy/access/user.ts';
import { rejectUpgrade, respondError } from '../../../../proxy/invocation/respond.ts';
import { https } from '../../../support/http.ts';

/** Who a request was taken for: the user, or the code of the refusal. */
export type Introduced = UserInfo | number;

/** The API server's port and authentication, with settings of the test's own; every request is told who it is. */
export interface Introductions {
  frontProxyCa: Credential;
  /** Of the front proxy: the common name that the settings allow. */
  frontProxy: Credential;
  /** CA of the server. */
  ca: string;
  url: string;
  /** What kube-apiserver would publish. */
  publish(data: Record<string, string>): void;
  /** Asks over a connection of its own, by pairs of name and value. */
  ask(credential: Partial<Credential>, rawHeaders: readonly string[]): Promise<Introduced>;
  /** Opens one HTTP/2 connection for several questions. */
  open(credential: Partial<Credential>): { ask(headers: Record<string, string>): Promise<Introduced>; close(): void };
  stop(): Promise<void>;
}

const frontProxyName = 'front-proxy-client';

export async function startIntroductions(): Promise<Introductions> {
  const [serverCa, frontProxyCa] = await Promise.all([createAuthority('server-ca'), createAuthority('front-proxy-ca')]);
  const [serving, frontProxy] = await Promise.all([
    issueLeaf(serverCa, { commonName: 'server', usages: ['server'], subjectAltNames: ['127.0.0.1'] }),
    issueLeaf(frontProxyCa, { commonName: frontProxyName, usages: ['client'] }),
  ]);
  let config: RequestHeaderConfig | undefined;
  const authenticator = new FrontProxyAuthenticator(() => config);
  const log = createLog({ level: 'error' });
  const listener = await Listener.open({
    address: '127.0.0.1',
    port: 0,
    tls: { cert: Buffer.from(serving.cert), key: Buffer.from(serving.key), clientCertificates: 'ask' },
    largestHeadersBytes: 96 * 1024,
    mostStreams: 100,
    onRequest: (request, response) => {
      try {
        response.end(JSON.stringify(authenticator.authenticate(request)));
      } catch (error) {
        respondError(request, response, error, log);
      }
    },
    onUpgrade: (_request, socket) => rejectUpgrade(socket, new Error('no upgrade is asked for here'), log),
  });
  const url = `https://127.0.0.1:${listener.port}/`;
  const introductions: Introductions = {
    frontProxyCa,
    frontProxy,
    ca: serverCa.cert,
    url,
    publish: (data) => {
      const read = readRequestHeaderConfig({ ...published(frontProxyCa.cert), ...data }, { allowSharedCa: false });
      config = 'config' in read ? read.config : undefined;
    },
    ask: async (credential, rawHeaders) => {
      const answer = await https({ url, ca: serverCa.cert, rawHeaders: ['Host', 'x', ...rawHeaders], ...credential });
      return answer.status === 200 ? (JSON.parse(answer.text) as UserInfo) : answer.status;
    },
    open: (credential) => {
      const session = connectHttp2(url, { ca: serverCa.cert, ...credential });
      return {
        ask: (headers) =>
          new Promise((resolve, reject) => {
            const stream = session.request({ ':path': '/', ...headers });
            let status = 0;
            const chunks: Buffer[] = [];
            stream.on('response', (fields) => {
              status = Number(fields[':status']);
            });
            stream.on('data', (chunk: Buffer) => chunks.push(chunk));
            stream.on('end', () =>
              resolve(status === 200 ? (JSON.parse(Buffer.concat(chunks).toString()) as UserInfo) : status),
            );
            stream.on('error', reject);
          }),
        close: () => session.close(),
      };
    },
    stop: () => listener.stop({ graceMs: 0 }),
  };
  introductions.publish({});
  return introductions;
}

/** The data of ConfigMap kube-system/extension-apiserver-authentication, as kube-apiserver 1.37 writes it. */
export function published(frontProxyCa: string): Record<string, string> {
  return {
    'requestheader-client-ca-file': frontProxyCa,
    'requestheader-allowed-names': JSON.stringify([frontProxyName]),
    'requestheader-username-headers': '["X-Remote-User"]',
    'requestheader-group-headers': '["X-Remote-Group"]',
    'requestheader-extra-headers-prefix': '["X-Remote-Extra-"]',
    'requestheader-uid-headers': '["X-Remote-Uid"]',
  };
}
