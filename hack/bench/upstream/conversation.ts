import type { Socket } from 'node:net';
import { keySetRoute } from '../../../apis/wire/daemon.ts';
import { bulkBytes, bulkPath, smallBody, smallPath, socketPath, streamPath, streamRestMs } from './routes.ts';

interface Asked {
  method: string;
  path: string;
  length: number;
}

const endOfHead = '\r\n\r\n';
const block = Buffer.alloc(64 * 1024, 'x');
const bulkHead = `HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${bulkBytes}${endOfHead}`;
const streamHead = `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked${endOfHead}`;
const switching = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade${endOfHead}`;

/**
 * Serves HTTP/1.1 on one connection: one request after the other, bodies by Content-Length alone, each read whole before
 * it is answered. By hand, because Node's HTTP server would cost as much as a front that stands before it.
 */
export function converse(socket: Socket): void {
  let head = '';
  let asked: Asked | undefined;
  let left = 0;
  const onData = (chunk: Buffer) => {
    if (asked === undefined) {
      head += chunk.toString('latin1');
      const end = head.indexOf(endOfHead);
      if (end === -1) return;
      asked = read(head.slice(0, end));
      left = asked.length - (head.length - end - endOfHead.length);
      head = '';
    } else {
      left -= chunk.length;
    }
    if (left > 0) return;
    const { path } = asked;
    if (path === socketPath) socket.off('data', onData);
    answer(socket, asked);
    asked = undefined;
  };
  socket.on('data', onData);
  // Fronts close idle connections whenever they like.
  socket.on('error', () => socket.destroy());
}

function read(head: string): Asked {
  const [method = '', path = ''] = head.slice(0, head.indexOf('\r\n')).split(' ');
  return { method, path, length: Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0) };
}

function answer(socket: Socket, { method, path, length }: Asked): void {
  switch (`${method} ${path}`) {
    case `GET ${smallPath}`:
    case `POST ${smallPath}`:
      socket.write(whole('200 OK', smallBody));
      break;
    case `GET ${bulkPath}`:
      socket.write(bulkHead);
      pour(socket, bulkBytes);
      break;
    case `POST ${bulkPath}`:
      socket.write(whole('200 OK', String(length)));
      break;
    case `GET ${streamPath}`:
      socket.write(`${streamHead}${chunk('data: first\n\n')}`);
      setTimeout(() => socket.write(`${chunk('data: last\n\n')}${chunk('')}`), streamRestMs);
      break;
    case `GET ${socketPath}`:
      socket.write(switching);
      socket.on('data', (heard) => socket.write(heard));
      break;
    case `PUT ${keySetRoute}`:
      socket.write(`HTTP/1.1 204 No Content${endOfHead}`);
      break;
    case 'GET /health':
      socket.write(whole('200 OK', 'ok'));
      break;
    default:
      socket.write(whole('404 Not Found', path));
  }
}

function whole(status: string, body: string): string {
  return `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}${endOfHead}${body}`;
}

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

function pour(socket: Socket, bytes: number): void {
  for (let left = bytes; left > 0; ) {
    const next = block.subarray(0, Math.min(left, block.length));
    left -= next.length;
    if (!socket.write(next)) {
      if (left > 0) socket.once('drain', () => pour(socket, left));
      return;
    }
  }
}
