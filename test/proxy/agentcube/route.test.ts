import { expect } from 'chai';
import { ApiError } from '../../../apis/machinery/errors.ts';
import { checkRouterRoute, matchRouterRoute } from '../../../proxy/agentcube/route.ts';

function outcome(requestLine: string): string {
  const route = matchRouterRoute(requestLine);
  if (route === undefined) return 'none';
  try {
    const { namespace, kind, runtime, target } = checkRouterRoute(route);
    return `${namespace} ${kind} ${runtime} ${target}`;
  } catch (error) {
    if (error instanceof ApiError) return String(error.code);
    throw error;
  }
}

describe('AgentCube’s router route', () => {
  const base = '/v1/namespaces';
  const cases: [string, string][] = [
    [`${base}/ns/code-interpreters/py/invocations`, 'ns CodeInterpreter py '],
    [`${base}/ns/code-interpreters/py/invocations/`, 'ns CodeInterpreter py /'],
    [`${base}/ns/code-interpreters/py/invocations?x=/y`, 'ns CodeInterpreter py ?x=/y'],
    [`${base}/ns/agent-runtimes/my.agent/invocations/a/b%2Fc?z=1&a=2`, 'ns AgentRuntime my.agent /a/b%2Fc?z=1&a=2'],
    [`${base}/ns/agent-runtimes/a/invocations/../../b/invocations/`, 'ns AgentRuntime a /../../b/invocations/'],
    [`${base}/ns/agent-runtimes/a/invocations//evil.example/`, 'ns AgentRuntime a //evil.example/'],
    [`${base}/ns/agent-runtimes/a/invocationsx`, 'none'],
    [`${base}/ns/agent-runtimes/a/invocations%2Fx`, 'none'],
    [`${base}/ns/agent-runtimes/a`, 'none'],
    [`${base}/ns/agentruntimes/a/invocations/`, 'none'],
    [`${base}/ns?/agent-runtimes/a/invocations/`, 'none'],
    [`${base}/ns/agent-runtimes/a?/invocations/`, 'none'],
    [`/${base}/ns/agent-runtimes/a/invocations/`, 'none'],
    [`/x/..${base}/ns/agent-runtimes/a/invocations/`, 'none'],
    [`http://other.example${base}/ns/agent-runtimes/a/invocations/`, 'none'],
    [`${base}/ns/x/agent-runtimes/a/invocations/`, 'none'],
    [`${base}//agent-runtimes/a/invocations/`, '400'],
    [`${base}/ns/agent-runtimes//invocations/`, '400'],
    [`${base}/../agent-runtimes/a/invocations/`, '400'],
    [`${base}/ns/agent-runtimes/../invocations/`, '400'],
    [`${base}/ns/agent-runtimes/./invocations/`, '400'],
    [`${base}/ns/agent-runtimes/%61/invocations/`, '400'],
    [`${base}/n%73/agent-runtimes/a/invocations/`, '400'],
    [`${base}/ns%2Fagent-runtimes%2Fb/agent-runtimes/a/invocations/`, '400'],
    [`${base}/ns/agent-runtimes/A/invocations/`, '400'],
    [`${base}/ns.b/agent-runtimes/a/invocations/`, '400'],
    ['/', 'none'],
    ['', 'none'],
  ];
  for (const [requestLine, expected] of cases) {
    it(`reads ${requestLine} as ${expected}`, () => {
      expect(outcome(requestLine)).to.equal(expected);
    });
  }

  it('takes no time for a hostile line', () => {
    expect(matchRouterRoute(`${base}/${'a/'.repeat(30_000)}`)).to.equal(undefined);
  });
});
