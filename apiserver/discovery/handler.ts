import { ApiError } from '../../apis/machinery/errors.ts';
import { group, version } from '../../apis/names.ts';
import type { ClientRequest, ClientResponse } from '../../apis/runtime/listener.ts';
import { sendBytes, sendJson, sendNotModified } from '../http/exchange.ts';
import { parseAccept } from '../http/negotiation.ts';
import { type Document, openApiV2, openApiV3, openApiV3Index } from '../openapi/documents.ts';
import {
  aggregatedDiscovery,
  aggregatedDiscoveryType,
  apiGroupDocument,
  apiGroupList,
  apiResourceList,
} from './documents.ts';

/**
 * Discovery and OpenAPI. Answered from constants, so also while kube-apiserver is away or nothing is synced yet:
 * a failing discovery would keep every namespace of the cluster from being deleted.
 */
export class DiscoveryHandler {
  readonly #aggregated = aggregatedDiscovery();
  readonly #v2 = openApiV2();
  readonly #v3 = openApiV3();
  readonly #v3Index = openApiV3Index(this.#v3);

  /**
   * Answers a path that is no resource.
   * @throws ApiError NotFound, MethodNotAllowed.
   */
  handle(path: string, request: ClientRequest, response: ClientResponse): void {
    const answer = this.#answers[path.length > 1 ? path.replace(/\/$/, '') : path];
    if (answer === undefined) throw new ApiError('NotFound', 'the server could not find the requested resource');
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      throw new ApiError('MethodNotAllowed', `${request.method} is not supported on ${path}; use GET`);
    }
    answer(request, response);
  }

  readonly #answers: Record<string, (request: ClientRequest, response: ClientResponse) => void> = {
    '/apis': (request, response) => {
      if (!wantsAggregated(request.headers.accept)) return sendJson(response, 200, apiGroupList);
      sendDocument(request, response, this.#aggregated, aggregatedDiscoveryType);
    },
    [`/apis/${group}`]: (_request, response) => sendJson(response, 200, apiGroupDocument),
    [`/apis/${group}/${version}`]: (_request, response) => sendJson(response, 200, apiResourceList),
    '/openapi/v2': (request, response) => sendDocument(request, response, this.#v2, 'application/json'),
    '/openapi/v3': (request, response) => sendDocument(request, response, this.#v3Index, 'application/json'),
    // A request with an outdated hash gets today's document: the aggregator turns a redirect into an error.
    [`/openapi/v3/apis/${group}/${version}`]: (request, response) =>
      sendDocument(request, response, this.#v3, 'application/json'),
  };
}

function wantsAggregated(accept: string | undefined): boolean {
  const [first] = parseAccept(accept ?? '');
  if (first?.type !== 'application/json') return false;
  const { parameters } = first;
  return (
    parameters.get('g') === 'apidiscovery.k8s.io' &&
    parameters.get('v') === 'v2' &&
    parameters.get('as') === 'APIGroupDiscoveryList'
  );
}

function sendDocument(request: ClientRequest, response: ClientResponse, document: Document, type: string): void {
  const etag = `"${document.etag}"`;
  const headers = { 'content-type': type, etag, vary: 'Accept' };
  if (request.headers['if-none-match'] === etag) {
    sendNotModified(response, headers);
  } else {
    sendBytes(response, 200, document.bytes, headers);
  }
}
