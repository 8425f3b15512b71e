import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

const latest = Symbol('latest answer');
const pipelines = Symbol('pipelines');

/** Kept at the connection itself: a Map that all requests are put into and taken out of costs more than the parser. */
interface Connection extends Duplex {
  [latest]?: ServerResponse;
  [pipelines]?: true;
}

/** Notes that an HTTP/1.1 connection owes an answer: what else may be written to it depends on that. */
export function noteAnswer(socket: Connection, response: ServerResponse): void {
  const former = socket[latest];
  if (former !== undefined && isOpen(former)) socket[pipelines] = true;
  socket[latest] = response;
}

/**
 * What an answer to bytes that are no request would be taken for: the answer to them (`none`), to the request in whose
 * body they are (`broken`), or to another request that is still being served (`another`).
 */
export function owedBy(socket: Connection): 'none' | 'broken' | 'another' {
  const response = socket[latest];
  if (response === undefined || !isOpen(response)) return 'none';
  const isOwn = socket[pipelines] === undefined && !response.req.complete && !response.headersSent;
  return isOwn ? 'broken' : 'another';
}

function isOpen(response: ServerResponse): boolean {
  return !response.writableFinished && !response.destroyed;
}
