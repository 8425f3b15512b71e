import { request as httpsRequest } from 'node:https';

export interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** The body as UTF-8. */
  text: string;
}

export interface HttpsCall {
  url: string;
  method?: string;
  headers?: Record<string, string>;
  /** Pairs of name and value for requests that repeat a header. */
  rawHeaders?: string[];
  body?: string | Buffer;
  /** PEM. */
  ca: string;
  cert?: string;
  key?: string;
}

/** One HTTPS request over HTTP/1.1 with the path sent as it is written, never normalised. */
export function https(call: HttpsCall): Promise<Answer> {
  const [, host = '', port = '', path = '/'] = /^https:\/\/([^:/]+):(\d+)(\/.*)?$/s.exec(call.url) ?? [];
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        host,
        port,
        path,
        method: call.method ?? 'GET',
        headers: (call.rawHeaders as never) ?? framed(call),
        ca: call.ca,
        ...(call.cert === undefined ? {} : { cert: call.cert, key: call.key }),
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks);
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, text: body.toString('utf8') });
        });
      },
    );
    request.on('error', reject);
    request.end(call.body);
  });
}

/** Node frames a body by itself only for some methods. */
function framed({ headers = {}, body }: HttpsCall): Record<string, string> {
  if (body === undefined || 'content-length' in headers || 'transfer-encoding' in headers) return headers;
  return { ...headers, 'content-length': String(Buffer.byteLength(body)) };
}
