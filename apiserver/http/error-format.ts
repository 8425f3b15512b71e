import type { ApiError } from '../../apis/machinery/errors.ts';
import type { ErrorFormat } from '../../proxy/invocation/respond.ts';
import { negotiateStatus } from './negotiation.ts';
import { layoutFor, objectText } from './object-text.ts';
import { warningTexts } from './warnings.ts';

/** Longest public sentence of an error. */
const longestMessage = 64 * 1024;

/**
 * How an error is written down for the client of a request (k8s.io/apiserver/pkg/endpoints/handlers/responsewriters,
 * ErrorNegotiated): as it accepts, and indented JSON when nothing that it accepts is a Status.
 */
export function errorFormatFor(request: {
  headers: NodeJS.Dict<string | string[]>;
  url?: string | undefined;
}): ErrorFormat {
  const { headers, url = '' } = request;
  const question = url.indexOf('?');
  const query = new URLSearchParams(question === -1 ? '' : url.slice(question));
  const accepted = negotiateStatus(headers.accept === undefined ? undefined : String(headers.accept));
  const layout = accepted === undefined ? 'indented JSON' : layoutFor({ headers, query }, accepted);
  return {
    contentType: layout === 'YAML' ? 'application/yaml' : 'application/json',
    body: (error) => objectText(statusOf(error), layout),
    headers: (error) => warningTexts(error.warnings).map((text) => ['warning', text]),
  };
}

function statusOf(error: ApiError): object {
  const status = error.toStatus();
  return { ...status, message: status.message?.slice(0, longestMessage) };
}
