import { expect } from 'chai';
import { parseRequest } from '../../apiserver/http/request-info.ts';

const base = '/apis/sojourn.dev/v1alpha1';

describe('parse of the request line', () => {
  const good: [string, string, object][] = [
    ['GET', `${base}/sessions`, { verb: 'list', namespace: undefined, name: undefined }],
    ['GET', `${base}/namespaces/a/sessions?watch=true`, { verb: 'watch', namespace: 'a' }],
    ['GET', `${base}/namespaces/a/sessions?watch=0`, { verb: 'list', namespace: 'a' }],
    ['GET', `${base}/namespaces/a/sessions?fieldSelector=metadata.name%3Dx&watch=1`, { verb: 'watch', name: 'x' }],
    ['POST', `${base}/namespaces/a/sessions`, { verb: 'create', namespace: 'a', name: undefined }],
    ['DELETE', `${base}/namespaces/a/sessions`, { verb: 'deletecollection' }],
    ['GET', `${base}/namespaces/a/sessions/b`, { verb: 'get', name: 'b', subresource: undefined }],
    ['PUT', `${base}/namespaces/a/sessions/b`, { verb: 'update', name: 'b' }],
    ['DELETE', `${base}/namespaces/a/sessions/b`, { verb: 'delete', name: 'b' }],
    ['POST', `${base}/namespaces/a/sessions/b/proxy`, { verb: 'create', subresource: 'proxy', subpath: '' }],
    [
      'POST',
      `${base}/namespaces/a/sessions/b/proxy/x/../%2e%2e/y?q=1`,
      { subresource: 'proxy', subpath: '/x/../%2e%2e/y', rawQuery: '?q=1' },
    ],
    ['GET', `${base}/namespaces/a/sessions/b/proxy//x`, { verb: 'get', subpath: '//x' }],
    ['GET', `${base}/namespaces/a/sessions/%62`, { name: 'b' }],
    ['GET', `${base}/namespaces/a/sessions/?watch=FALSE`, { verb: 'list', namespace: 'a', name: undefined }],
    ['GET', `${base}/namespaces/a/sessions//`, { verb: 'list', name: undefined }],
    ['GET', `${base}/namespaces/a/sessions/b/`, { verb: 'get', name: 'b', subresource: undefined }],
    ['GET', `${base}/namespaces/a/sessions/b/proxy/`, { verb: 'get', subresource: 'proxy', subpath: '/' }],
    ['GET', `${base}/sessions?fieldSelector=metadata.name%3Db,metadata.name%3Da`, { verb: 'list', name: 'a' }],
    ['GET', `${base}/sessions?fieldSelector=metadata.name%3Da&limit=x`, { verb: 'list', name: undefined }],
  ];
  for (const [method, target, expected] of good) {
    it(`${method} ${target} is ${JSON.stringify(expected)}`, () => {
      expect(parseRequest(method, target)).to.deep.include({ kind: 'resource', ...expected });
    });
  }

  const bad: [string, string, number][] = [
    ['GET', `${base}/namespaces/a/sessions/b/../../c`, 404],
    ['GET', `${base}/namespaces/a/sessions/..`, 404],
    ['GET', `${base}/namespaces/a/sessions/%2e%2e`, 404],
    ['GET', `${base}/namespaces/a/sessions/b%2Fproxy`, 404],
    ['GET', `${base}/namespaces/a%2Fb/sessions`, 404],
    ['GET', `${base}/namespaces/a/sessions/b%5Cc`, 404],
    ['GET', `${base}/namespaces/a/sessions/b%00`, 404],
    ['GET', `${base}/namespaces/a/sessions/%ff`, 400],
    ['GET', `${base}/namespaces//sessions/b`, 404],
    ['GET', `${base}/namespaces/a/secrets/b`, 404],
    ['GET', `${base}/namespaces/a/sessions/b/log/x`, 404],
    ['GET', `${base}/sessions/b`, 404],
    ['GET', 'http://evil/apis', 404],
    ['TRACE', `${base}/namespaces/a/sessions/b`, 405],
  ];
  for (const [method, target, code] of bad) {
    it(`${method} ${target} is refused with ${code}`, () => {
      expect(() => parseRequest(method, target))
        .to.throw()
        .with.property('code', code);
    });
  }

  it('takes every other path as it is', () => {
    expect(parseRequest('GET', '/apis/sojourn.dev/v1alpha1?timeout=32s')).to.deep.include({
      kind: 'nonresource',
      path: base,
    });
    expect(parseRequest('GET', '/apis/other/v1/x')).to.deep.include({ kind: 'nonresource', path: '/apis/other/v1/x' });
  });
});
