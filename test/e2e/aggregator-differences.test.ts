import { once } from 'node:events';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { useCluster } from '../support/cluster.ts';
import { until } from '../support/until.ts';
import { rawRuntime } from './raw-agent.ts';

/** What came of one request: what the client got, and, where the program said it, what the program got. */
interface Seen {
  /** All bytes of the answer, one character each. */
  text: string;
  code: string;
  /** Headers of the answer, without the status line. */
  head: string;
  /** The body as sent. */
  body: string;
}

interface Case {
  name: string;
  /** Method, what follows `/proxy`, further header lines, and the body. */
  send: [method: string, target: string, headers?: string[], body?: string];
  version?: string;
  /** How long an answer is waited for that may not come at all. */
  patienceMs?: number;
  /** Enough of an answer when no more comes by itself. */
  enough?: RegExp;
  see: (seen: Seen) => string;
  direct: string;
  aggregated: string;
}

const requestLine = ({ body }: Seen) => body.split('\r\n')[0] ?? '';
const heardHeader =
  (name: string) =>
  ({ body }: Seen) =>
    body
      .split('\r\n')
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .join(' | ') || 'none';
const header =
  (name: string) =>
  ({ head }: Seen) =>
    head
      .split('\r\n')
      .filter((line) => line.toLowerCase().startsWith(`${name}:`))
      .join(' | ') || 'none';
const code = (seen: Seen) => seen.code || 'nothing';
const forwarded = (seen: Seen) =>
  ['for', 'proto', 'uri'].map((what) => heardHeader(`x-forwarded-${what}`)(seen)).join(', ');
/** How the body of a request was framed, as the program got it. */
const framing = ({ body }: Seen) =>
  (body.match(/\r\n(?:content-length|transfer-encoding): [^\r]*|\r\n\r\n[\s\S]*$/gi) ?? [])
    .map((part) => part.trim().replaceAll('\r\n', ' '))
    .join(', ')
    .toLowerCase();
/** How the body of an answer was framed. */
const answerFraming = ({ text }: Seen) =>
  (text.match(/\r\n(?:content-length|transfer-encoding|trailer): [^\r]*|\r\n\r\n[\s\S]*$/gi) ?? [])
    .map((part) => part.trim().replaceAll('\r\n', ' '))
    .join(', ')
    .toLowerCase();
/** The codes of all answers to the request, each once. */
const statuses = ({ text }: Seen) =>
  [...new Set((text.match(/HTTP\/1\.1 \d{3} [^\r]*\r\n(?=[A-Za-z\r])/g) ?? []).map((line) => line.slice(9, 12)))].join(
    ', ',
  );
const links = ({ body }: Seen) => /href="[^"]*"/.exec(body)?.[0] ?? 'none';
const masked = (see: (seen: Seen) => string, part: RegExp) => (seen: Seen) => see(seen).replace(part, '…');
const cut = ({ text }: Seen) => {
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? Number.NaN);
  const body = text.slice(text.indexOf('\r\n\r\n') + 4);
  return body.length === length || /\r\n0\r\n\r\n$/.test(text) ? 'whole' : 'broken off';
};
const codeAndBody = (seen: Seen) => `${code(seen)} ${seen.body.slice(0, 70)}`.trim();

type Request = Pick<Case, 'send' | 'version' | 'enough' | 'patienceMs'>;

/** In the order of a request: its line, its headers, its body, the answer's headers and body, upgrades. */
const cases: Case[] = [
  {
    name: 'sorts the query',
    send: ['GET', '/x?z=1&a=2&z=3'],
    see: requestLine,
    direct: 'GET /x?z=1&a=2&z=3 HTTP/1.1',
    aggregated: 'GET /x?a=2&z=1&z=3 HTTP/1.1',
  },
  {
    name: 'rewrites a query that it cannot parse',
    send: ['GET', '/x?a;b&c=%zz&&d='],
    see: requestLine,
    direct: 'GET /x?a;b&c=%zz&&d= HTTP/1.1',
    aggregated: 'GET /x?d= HTTP/1.1',
  },
  {
    name: 're-encodes the query',
    send: ['GET', '/x?q=a%20b&r=~'],
    see: requestLine,
    direct: 'GET /x?q=a%20b&r=~ HTTP/1.1',
    aggregated: 'GET /x?q=a+b&r=~ HTTP/1.1',
  },
  {
    name: 'decodes %2F',
    send: ['GET', '/a%2Fb'],
    see: requestLine,
    direct: 'GET /a%2Fb HTTP/1.1',
    aggregated: 'GET /a/b HTTP/1.1',
  },
  {
    name: 'decodes what need not be encoded',
    send: ['GET', '/a%7Eb%21'],
    see: requestLine,
    direct: 'GET /a%7Eb%21 HTTP/1.1',
    aggregated: 'GET /a~b%21 HTTP/1.1',
  },
  {
    name: 'keeps double slashes',
    send: ['GET', '/a//b/'],
    see: requestLine,
    direct: 'GET /a//b/ HTTP/1.1',
    aggregated: 'GET /a//b/ HTTP/1.1',
  },
  {
    name: 'keeps dots in a path',
    send: ['GET', '/a/../b/./c'],
    see: requestLine,
    direct: 'GET /a/../b/./c HTTP/1.1',
    aggregated: 'GET /a/../b/./c HTTP/1.1',
  },
  {
    name: 'decodes dots',
    send: ['GET', '/%2e%2e/c'],
    see: requestLine,
    direct: 'GET /%2e%2e/c HTTP/1.1',
    aggregated: 'GET /../c HTTP/1.1',
  },
  {
    name: 'asks for the root',
    send: ['GET', ''],
    see: requestLine,
    direct: 'GET / HTTP/1.1',
    aggregated: 'GET / HTTP/1.1',
  },
  {
    name: 'writes header names small',
    send: ['GET', '/x', ['x-mIxEd: 1']],
    see: heardHeader('x-mixed'),
    direct: 'x-mIxEd: 1',
    aggregated: 'x-mixed: 1',
  },
  {
    name: 'keeps headers with underscores',
    send: ['GET', '/x', ['X_A: 1']],
    see: heardHeader('x_a'),
    direct: 'X_A: 1',
    aggregated: 'x_a: 1',
  },
  {
    name: 'keeps bytes above ASCII',
    send: ['GET', '/x', ['X-A: café']],
    see: heardHeader('x-a'),
    direct: 'X-A: café',
    aggregated: 'x-a: café',
  },
  {
    name: 'asks for gzip on its own',
    send: ['GET', '/x'],
    see: heardHeader('accept-encoding'),
    direct: 'none',
    aggregated: 'accept-encoding: gzip',
  },
  {
    name: 'names a user agent',
    send: ['GET', '/x'],
    see: heardHeader('user-agent'),
    direct: 'none',
    aggregated: 'none',
  },
  {
    name: 'says where it comes from, whatever the client says',
    send: ['GET', '/x', ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Proto: gopher', 'X-Forwarded-Uri: /y']],
    see: forwarded,
    direct: 'X-Forwarded-For: 127.0.0.1, X-Forwarded-Proto: https, none',
    aggregated: 'X-Forwarded-For: 127.0.0.1, X-Forwarded-Proto: https, none',
  },
  {
    name: 'replaces Host',
    send: ['GET', '/x'],
    see: masked(heardHeader('x-forwarded-host'), /\d+$/),
    direct: 'X-Forwarded-Host: cluster.example',
    aggregated: 'X-Forwarded-Host: localhost:…',
  },
  {
    name: 'drops what Connection names',
    send: ['GET', '/x', ['Connection: X-Gone', 'X-Gone: 1']],
    see: heardHeader('x-gone'),
    direct: 'none',
    aggregated: 'none',
  },
  {
    name: 'passes TE: trailers',
    send: ['GET', '/x', ['TE: trailers']],
    see: heardHeader('te'),
    direct: 'TE: trailers',
    aggregated: 'TE: trailers',
  },
  {
    name: 'adds an Audit-ID',
    send: ['GET', '/x'],
    see: masked(heardHeader('audit-id'), /[0-9a-f-]{36}/),
    direct: 'none',
    aggregated: 'audit-id: …',
  },
  {
    name: 'keeps a length',
    send: ['POST', '/x', ['Content-Length: 2'], 'hi'],
    see: framing,
    direct: 'content-length: 2, hi',
    aggregated: 'content-length: 2, hi',
  },
  {
    name: 'keeps chunks',
    send: ['POST', '/x', ['Transfer-Encoding: chunked'], '2\r\nhi\r\n0\r\n\r\n'],
    see: framing,
    direct: 'transfer-encoding: chunked, 2 hi 0',
    aggregated: 'transfer-encoding: chunked, 2 hi 0',
  },
  {
    name: 'loses trailers of a request',
    send: ['POST', '/x', ['Trailer: X-T', 'Transfer-Encoding: chunked'], '2\r\nhi\r\n0\r\nX-T: 1\r\n\r\n'],
    see: heardHeader('x-t'),
    direct: 'none',
    aggregated: 'none',
  },
  {
    name: 'keeps the body of a GET',
    send: ['GET', '/x', ['Content-Length: 2'], 'hi'],
    see: framing,
    direct: 'content-length: 2, hi',
    aggregated: 'content-length: 2, hi',
  },
  {
    // Whether a 100 comes depends on whether the body has come before it is wanted (RFC 9110 §10.1.1).
    name: 'serves Expect',
    send: ['POST', '/x', ['Content-Length: 2', 'Expect: 100-continue'], 'hi'],
    see: (heard) => statuses(heard).replace(/^100, /, ''),
    direct: '200',
    aggregated: '200',
  },
  {
    name: 'keeps Expect from the sandbox',
    send: ['POST', '/x', ['Content-Length: 2', 'Expect: 100-continue'], 'hi'],
    see: heardHeader('expect'),
    direct: 'none',
    aggregated: 'none',
  },
  {
    name: 'serves HTTP/1.0',
    send: ['GET', '/length'],
    version: '1.0',
    see: codeAndBody,
    direct: '200 four',
    aggregated: '200 four',
  },
  {
    name: 'refuses OPTIONS as forbidden',
    send: ['OPTIONS', '/length'],
    see: code,
    direct: '405',
    aggregated: '403',
  },
  {
    name: 'refuses TRACE as forbidden',
    send: ['TRACE', '/length'],
    see: code,
    direct: '405',
    aggregated: '403',
  },
  {
    name: 'refuses other methods as forbidden',
    send: ['PROPFIND', '/length'],
    see: code,
    direct: '405',
    aggregated: '403',
  },
  {
    name: 'answers HEAD with a length',
    send: ['HEAD', '/head'],
    see: masked(header('content-length'), /\d+/),
    direct: 'Content-Length: …',
    aggregated: 'Content-Length: …',
  },
  {
    name: 'makes a 502 of a redirect',
    send: ['GET', '/redirect'],
    see: codeAndBody,
    direct: '302',
    aggregated: '502 the backend attempted to redirect this request, which is not permitted',
  },
  {
    name: 'keeps the length of an answer',
    send: ['GET', '/length'],
    see: answerFraming,
    direct: 'content-length: 4, four',
    aggregated: 'content-length: 4, four',
  },
  {
    name: 'keeps an answer chunked, with its trailers',
    send: ['GET', '/chunks'],
    see: answerFraming,
    direct: 'trailer: x-sum, transfer-encoding: chunked, 4 four 0 x-sum: abc x-more: 1',
    aggregated: 'trailer: x-sum, transfer-encoding: chunked, 4 four 0 x-more: 1 x-sum: abc',
  },
  {
    name: 'keeps an answer that ends with its connection',
    send: ['GET', '/until-close'],
    see: answerFraming,
    direct: 'transfer-encoding: chunked, 9 all of it 0',
    aggregated: 'transfer-encoding: chunked, 9 all of it 0',
  },
  {
    name: 'passes interim answers on',
    send: ['GET', '/hints'],
    see: statuses,
    direct: '103, 200',
    aggregated: '103, 200',
  },
  {
    name: "rewrites the case of an answer's headers",
    send: ['GET', '/cased'],
    see: header('x-lower'),
    direct: 'x-lOwEr: café',
    aggregated: 'X-Lower: café',
  },
  {
    name: 'keeps two cookies',
    send: ['GET', '/cased'],
    see: header('set-cookie'),
    direct: 'Set-Cookie: a=1 | Set-Cookie: b=2',
    aggregated: 'Set-Cookie: a=1 | Set-Cookie: b=2',
  },
  {
    name: 'rewrites links in HTML',
    send: ['GET', '/html'],
    see: masked(links, /localhost:\d+/),
    direct: 'href="/next"',
    aggregated: 'href="https://…/next"',
  },
  {
    name: 'drops CORS headers',
    send: ['GET', '/cors'],
    see: header('access-control-allow-origin'),
    direct: 'Access-Control-Allow-Origin: *',
    aggregated: 'none',
  },
  {
    name: 'adds a Cache-Control',
    send: ['GET', '/fresh'],
    see: header('cache-control'),
    direct: 'Cache-Control: max-age=60',
    aggregated: 'Cache-Control: no-cache, private | Cache-Control: max-age=60',
  },
  {
    name: 'keeps a 204',
    send: ['GET', '/nothing'],
    see: codeAndBody,
    direct: '204',
    aggregated: '204',
  },
  {
    name: 'keeps a 304',
    send: ['GET', '/unchanged'],
    see: codeAndBody,
    direct: '304',
    aggregated: '304',
  },
  {
    name: 'keeps a code nobody knows',
    send: ['GET', '/teapot'],
    see: codeAndBody,
    direct: '418 no',
    aggregated: '418 no',
  },
  {
    name: "drops what the sandbox's Connection names",
    send: ['GET', '/hop'],
    see: header('x-gone'),
    direct: 'none',
    aggregated: 'none',
  },
  {
    name: 'keeps gzip',
    send: ['GET', '/zipped', ['Accept-Encoding: gzip']],
    see: header('content-encoding'),
    direct: 'Content-Encoding: gzip',
    aggregated: 'Content-Encoding: gzip',
  },
  {
    name: 'decodes gzip that the client did not ask for',
    send: ['GET', '/zipped'],
    see: header('content-encoding'),
    direct: 'Content-Encoding: gzip',
    aggregated: 'none',
  },
  {
    name: 'holds an early answer back until more of the request comes',
    send: ['POST', '/early', ['Content-Length: 10000000'], 'some of it'],
    patienceMs: 2_000,
    enough: /too long$/,
    see: codeAndBody,
    direct: '413 too long',
    aggregated: 'nothing',
  },
  {
    name: 'never makes a whole of an answer whose length stays short',
    send: ['GET', '/cut-length'],
    see: cut,
    direct: 'broken off',
    aggregated: 'broken off',
  },
  {
    name: 'never adds a missing last chunk',
    send: ['GET', '/cut-chunks'],
    see: cut,
    direct: 'broken off',
    aggregated: 'broken off',
  },
  {
    name: 'answers 502 when the sandbox breaks off before it answers',
    send: ['GET', '/cut-before'],
    see: code,
    direct: '502',
    aggregated: '502',
  },
  {
    name: 'switches protocols',
    send: ['GET', '/switch', ['Connection: Upgrade', 'Upgrade: tty/1']],
    enough: /welcome$/,
    see: codeAndBody,
    direct: '101 welcome',
    aggregated: '101 welcome',
  },
  {
    name: 'passes the refusal of an upgrade on',
    send: ['GET', '/decline', ['Connection: Upgrade', 'Upgrade: tty/1']],
    see: codeAndBody,
    direct: '403 no',
    aggregated: '403 no',
  },
  {
    name: 'makes a 503 of a 200 to an upgrade',
    send: ['GET', '/ignore', ['Connection: Upgrade', 'Upgrade: tty/1']],
    enough: /\r\n\r\n[\s\S]+$/,
    see: code,
    direct: '200',
    aggregated: '503',
  },
];

describe('what the aggregator changes', () => {
  const env = useCluster();
  const space = env.namespace('aggregator');
  const base = () => `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions/raw/proxy`;
  let token = '';

  before(async function () {
    this.timeout(60_000);
    await env.client.request({
      method: 'POST',
      path: `/apis/runtime.agentcube.volcano.sh/v1alpha1/namespaces/${space.name}/agentruntimes`,
      body: rawRuntime(space.name),
    });
    await env.client.request({
      method: 'POST',
      path: `/apis/sojourn.dev/v1alpha1/namespaces/${space.name}/sessions`,
      body: {
        apiVersion: 'sojourn.dev/v1alpha1',
        kind: 'Session',
        metadata: { name: 'raw' },
        spec: { runtimeRef: { kind: 'AgentRuntime', name: 'raw' } },
      },
    });
    await env.kubectl(['create', 'serviceaccount', 'caller', '-n', space.name]);
    const binding = ['create', 'rolebinding', 'caller', '-n', space.name, '--clusterrole=sojourn-session-user'];
    await env.kubectl([...binding, `--serviceaccount=${space.name}:caller`]);
    token = (await env.kubectl(['create', 'token', 'caller', '-n', space.name])).stdout.trim();
    const wait = ['wait', '-n', space.name, '--for=condition=Ready', 'session/raw', '--timeout=30s'];
    const ready = await env.kubectl(wait);
    expect(ready.code, ready.stderr).to.equal(0);
    await until('the program to listen', async () => {
      const seen = await exchange('direct', { send: ['GET', '/length'] });
      return seen.code === '200' && (await exchange('aggregated', { send: ['GET', '/length'] })).code === '200';
    });
  });

  async function exchange(way: 'direct' | 'aggregated', request: Request): Promise<Seen> {
    const { send, version = '1.1', enough, patienceMs = 15_000 } = request;
    const { hostname, port } = new URL(way === 'direct' ? env.cluster.proxyUrl : env.cluster.plane.server);
    const socket = connect({ host: hostname, port: Number(port), ca: env.ca, ALPNProtocols: ['http/1.1'] });
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => socket.destroy());
    await once(socket, 'secureConnect');
    const [method, target, headers = [], body = ''] = send;
    const lines = [`${method} ${base()}${target} HTTP/${version}`, 'Host: cluster.example'];
    lines.push(`Authorization: Bearer ${token}`);
    if (!headers.some((line) => line.startsWith('Upgrade:'))) lines.push('Connection: close');
    socket.write(Buffer.from([...lines, ...headers, '', body].join('\r\n'), 'latin1'));
    const since = performance.now();
    await until('the end of the answer', () => {
      const over = socket.readableEnded || socket.destroyed || enough?.test(text) === true;
      return over || performance.now() - since > patienceMs;
    });
    socket.destroy();
    const end = text.indexOf('\r\n\r\n');
    const [status = '', ...fields] = text.slice(0, end).split('\r\n');
    return { text, code: status.split(' ')[1] ?? '', head: fields.join('\r\n'), body: text.slice(end + 4) };
  }

  for (const one of cases) {
    it(one.name, async () => {
      const seen = {
        direct: one.see(await exchange('direct', one)),
        aggregated: one.see(await exchange('aggregated', one)),
      };
      expect(seen).to.deep.equal({ direct: one.direct, aggregated: one.aggregated });
    });
  }
});
