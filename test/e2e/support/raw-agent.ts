import { programRuntime } from './program-runtime.ts';

/**
 * A program for `local/process` that speaks bytes: by its path a request gets one of the answers below, any other gets the
 * bytes of the request itself.
 */
const rawAgent = `
import { createServer } from 'node:net';
const answers = {
  '/redirect': 'HTTP/1.1 302 Found\\r\\nLocation: /elsewhere\\r\\nContent-Length: 0\\r\\n\\r\\n',
  '/length': 'HTTP/1.1 200 OK\\r\\nContent-Length: 4\\r\\n\\r\\nfour',
  '/chunks': 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\nTrailer: X-Sum\\r\\n\\r\\n4\\r\\nfour\\r\\n0\\r\\nX-Sum: abc\\r\\nX-More: 1\\r\\n\\r\\n',
  '/hints': 'HTTP/1.1 103 Early Hints\\r\\nLink: </a.css>\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok',
  '/cased': 'HTTP/1.1 200 OK\\r\\nx-lOwEr: caf\\xe9\\r\\nSet-Cookie: a=1\\r\\nSet-Cookie: b=2\\r\\nContent-Length: 2\\r\\n\\r\\nok',
  '/html': 'HTTP/1.1 200 OK\\r\\nContent-Type: text/html\\r\\nContent-Length: 20\\r\\n\\r\\n<a href="/next">x</a>',
  '/cors': 'HTTP/1.1 200 OK\\r\\nAccess-Control-Allow-Origin: *\\r\\nContent-Length: 2\\r\\n\\r\\nok',
  '/fresh': 'HTTP/1.1 200 OK\\r\\nCache-Control: max-age=60\\r\\nContent-Length: 2\\r\\n\\r\\nok',
  '/nothing': 'HTTP/1.1 204 No Content\\r\\n\\r\\n',
  '/unchanged': 'HTTP/1.1 304 Not Modified\\r\\nETag: "a"\\r\\n\\r\\n',
  '/teapot': 'HTTP/1.1 418 Short And Stout\\r\\nContent-Length: 2\\r\\n\\r\\nno',
  '/hop': 'HTTP/1.1 200 OK\\r\\nConnection: X-Gone\\r\\nX-Gone: 1\\r\\nContent-Length: 2\\r\\n\\r\\nok',
  '/early': 'HTTP/1.1 413 Too Large\\r\\nContent-Length: 8\\r\\n\\r\\ntoo long',
  '/zipped': Buffer.concat([Buffer.from('HTTP/1.1 200 OK\\r\\nContent-Encoding: gzip\\r\\nContent-Length: 22\\r\\n\\r\\n'), Buffer.from('H4sIAAAAAAAAA8vPBgBH3dx5AgAAAA==', 'base64')]),
};
const broken = {
  '/cut-length': 'HTTP/1.1 200 OK\\r\\nContent-Length: 100\\r\\n\\r\\nonly this',
  '/cut-chunks': 'HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n9\\r\\nonly this\\r\\n',
  '/cut-before': '',
  '/until-close': 'HTTP/1.1 200 OK\\r\\n\\r\\nall of it',
};
const upgrades = {
  '/switch': 'HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: tty/1\\r\\n\\r\\nwelcome',
  '/decline': 'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 2\\r\\n\\r\\nno',
  '/ignore': 'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok',
};
const bytes = (answer) => (typeof answer === 'string' ? Buffer.from(answer, 'latin1') : answer);
createServer((socket) => {
  let heard = '';
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    const end = heard.indexOf('\\r\\n\\r\\n');
    if (end === -1) return;
    const path = (heard.split(' ')[1] ?? '').split('?')[0];
    const answer = answers[path] ?? upgrades[path];
    if (answer !== undefined) {
      socket.write(bytes(answer));
      heard = '';
      return;
    }
    if (broken[path] !== undefined) {
      socket.end(bytes(broken[path]));
      return;
    }
    const length = Number(/\\r\\ncontent-length: (\\d+)/i.exec(heard)?.[1] ?? 0);
    const chunked = /\\r\\ntransfer-encoding: chunked/i.test(heard);
    if (chunked ? !/\\r\\n0\\r\\n(.+\\r\\n)*\\r\\n$/.test(heard) : heard.length < end + 4 + length) return;
    const body = Buffer.from(heard, 'latin1');
    heard = '';
    socket.write('HTTP/1.1 200 OK\\r\\nContent-Type: application/octet-stream\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n');
    if (!path.startsWith('/head')) socket.write(body);
  });
}).listen(9000, process.env.POD_IP);
`;

/** An AgentRuntime of that program. */
export const rawRuntime = programRuntime({ name: 'raw', program: rawAgent });
