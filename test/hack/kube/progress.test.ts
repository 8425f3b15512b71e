import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { formatDuration, streamReporter, withProgress } from '../../../hack/kube/progress.ts';

describe('progress', () => {
  const outputOf = async (stream: PassThrough & { isTTY?: boolean; columns?: number }): Promise<string> => {
    const reporter = streamReporter(stream);
    reporter.report('begin');
    let told = false;
    const describeStep = (): string => {
      told = true;
      return 'compiling a package with a name that is wider than the terminal';
    };
    await withProgress(reporter, describeStep, async () => {
      const deadline = performance.now() + 20_000;
      while (stream.isTTY === true && !told && performance.now() < deadline) {
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    reporter.report('end');
    return stream.read().toString();
  };

  it('overwrites one line of a terminal, cut to its width, and leaves none behind', async () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true, columns: 20 });
    const clear = '\r\x1b[K';
    expect(await outputOf(terminal)).to.equal(`${clear}begin\n${clear}  compiling a packa${clear}${clear}end\n`);
  });

  it('writes plain lines into a pipe or file', async () => {
    expect(await outputOf(new PassThrough())).to.equal(
      'begin\n  compiling a package with a name that is wider than the terminal  0s\nend\n',
    );
  });

  it('tells durations as people do', () => {
    expect([400, 4_999, 12_000, 59_400, 59_999, 130_000].map(formatDuration)).to.deep.equal([
      '0s',
      '5s',
      '12s',
      '59s',
      '1m00s',
      '2m10s',
    ]);
  });
});
