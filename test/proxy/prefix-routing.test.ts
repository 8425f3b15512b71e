import { expect } from 'chai';
import { chooseEndpoint } from '../../proxy/invocation/endpoints.ts';

const endpoints = ['/', '/api', '/api/v2/', 'docs', '/empty//'].map((pathPrefix, index) => ({
  pathPrefix,
  port: 8000 + index,
  protocol: 'HTTP' as const,
}));

describe('prefix routing', () => {
  const chosen: [string, string][] = [
    ['/', '/'],
    ['/api', '/api'],
    ['/api/', '/api'],
    ['/api?x=/api/v2', '/api'],
    ['/api/v1', '/api'],
    ['/api/v2', '/api/v2/'],
    ['/api/v2/', '/api/v2/'],
    ['/api/v2/run?x', '/api/v2/'],
    ['/api/v20', '/api'],
    ['/apiary', '/'],
    ['/API', '/'],
    ['/docs/a', 'docs'],
    ['/%61pi', '/'],
    ['/x/api', '/'],
  ];
  for (const [path, prefix] of chosen) {
    it(`sends ${path} to ${prefix}`, () => {
      expect(chooseEndpoint(endpoints, path)?.pathPrefix).to.equal(prefix);
    });
  }

  it('does not care for the order of the endpoints', () => {
    for (const [path, prefix] of chosen) {
      expect(chooseEndpoint(endpoints.toReversed(), path)?.pathPrefix, path).to.equal(prefix);
    }
  });

  it('sends what fits no prefix to the first endpoint', () => {
    expect(chooseEndpoint(endpoints.slice(1), '/other')?.pathPrefix).to.equal('/api');
    expect(chooseEndpoint([], '/other')).to.equal(undefined);
  });
});
