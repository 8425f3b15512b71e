import { expect } from 'chai';
import { ApiError } from '../../apis/machinery/errors.ts';
import { parseRoute, verbOf } from '../../proxy/route.ts';

const base = '/apis/sojourn.dev/v1alpha1/namespaces';

function outcome(requestLine: string): string {
  try {
    const { namespace, name, target } = parseRoute(requestLine);
    return `${namespace} ${name} ${target}`;
  } catch (error) {
    if (error instanceof ApiError) return String(error.code);
    throw error;
  }
}

describe('native route', () => {
  const cases: [string, string][] = [
    [`${base}/ns/sessions/a/proxy`, 'ns a '],
    [`${base}/ns/sessions/a/proxy/`, 'ns a /'],
    [`${base}/ns/sessions/a/proxy?x=/y`, 'ns a ?x=/y'],
    [`${base}/ns/sessions/a/proxy/api/files/x%2Fy?z=1&a=2`, 'ns a /api/files/x%2Fy?z=1&a=2'],
    [`${base}/ns/sessions/a/proxy/../../b/proxy/`, 'ns a /../../b/proxy/'],
    [`${base}/ns/sessions/a/proxy//evil.example/`, 'ns a //evil.example/'],
    [`${base}/ns/sessions/a/proxyx`, '404'],
    [`${base}/ns/sessions/a/proxy%2Fx`, '404'],
    [`${base}/ns/sessions/a`, '404'],
    [`${base}/ns/sessions/a/`, '404'],
    [`${base}/ns/sessions/a/status`, '404'],
    [`${base}/ns/sessions/a/exec`, '404'],
    [`${base}/ns/sessions`, '404'],
    [`${base}/ns/sandboxes/a/proxy/`, '404'],
    [`${base}/ns/sessions/a?/proxy/`, '404'],
    [`${base}/ns?/sessions/a/proxy/`, '404'],
    [`${base}/ns/sessions//proxy/`, '400'],
    [`${base}//sessions/a/proxy/`, '400'],
    [`${base}/../sessions/a/proxy/`, '400'],
    [`${base}/ns/sessions/../proxy/`, '400'],
    [`${base}/ns/sessions/./proxy/`, '400'],
    [`${base}/ns/sessions/%2e%2e/proxy/`, '400'],
    [`${base}/ns/sessions/%61/proxy/`, '400'],
    [`${base}/n%73/sessions/a/proxy/`, '400'],
    [`${base}/ns%2Fsessions%2Fb/sessions/a/proxy/`, '400'],
    [`${base}/ns/sessions/a%00/proxy/`, '400'],
    [`${base}/ns/sessions/A/proxy/`, '400'],
    [`${base}/ns/sessions/a;b/proxy/`, '400'],
    [`${base}/ns/sessions/${'a'.repeat(64)}/proxy/`, '400'],
    [`/${base}/ns/sessions/a/proxy/`, '404'],
    [`/x/..${base}/ns/sessions/a/proxy/`, '404'],
    [`http://other.example${base}/ns/sessions/a/proxy/`, '404'],
    ['/apis/sojourn.dev/v1alpha1/sessions/a/proxy/', '404'],
    ['/apis/sojourn.dev/v1/namespaces/ns/sessions/a/proxy/', '404'],
    ['/', '404'],
    ['*', '404'],
    ['', '404'],
  ];
  for (const [requestLine, expected] of cases) {
    it(`reads ${requestLine.slice(0, 90)} as ${expected}`, () => {
      expect(outcome(requestLine)).to.equal(expected);
    });
  }

  it('has a verb for the methods of HTTP and no other', () => {
    expect(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'].map(verbOf)).to.deep.equal([
      'get',
      'get',
      'create',
      'update',
      'patch',
      'delete',
    ]);
    for (const method of ['OPTIONS', 'CONNECT', 'get', '', 'constructor', '__proto__']) {
      expect(() => verbOf(method), method).to.throw(ApiError);
    }
  });
});
