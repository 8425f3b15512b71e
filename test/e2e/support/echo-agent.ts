import { programRuntime } from './program-runtime.ts';

/** A program for `local/process`: an HTTP server on its Pod's address that says what it was asked, streams and upgrades. */
const echoAgent = `
import { createServer } from 'node:http';
const server = createServer((request, response) => {
  if (request.url === '/events') {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write('data: first\\n\\n');
    request.on('close', () => console.log('listener left'));
    return;
  }
  if (request.url === '/broken') {
    response.writeHead(200, { 'content-length': '1000' });
    response.write('only this');
    setTimeout(() => request.socket.destroy(), 50);
    return;
  }
  if (request.url === '/dup') {
    request.socket.end('HTTP/1.1 200 OK\\r\\nDate: a\\r\\nDate: b\\r\\nLocation: /x\\r\\nLocation: /y\\r\\nContent-Length: 2\\r\\n\\r\\nok');
    return;
  }
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, headers } = request;
    response.writeHead(method === 'DELETE' ? 202 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString('utf8') }));
  });
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: echo\\r\\n\\r\\nhello ');
  socket.pipe(socket);
});
server.listen(9000, process.env.POD_IP);
`;

/** An AgentRuntime of that program. */
export const echoRuntime = programRuntime({ name: 'echo', program: echoAgent });
