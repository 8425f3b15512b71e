import { expect } from 'chai';
import { SetupError } from '../../../hack/kube/setup-error.ts';
import { TinyModule } from './tiny-module.ts';

describe('a build that cannot succeed', () => {
  let tiny: TinyModule;

  beforeEach(async () => {
    tiny = await TinyModule.create();
  });
  afterEach(() => tiny.remove());

  it("reports a compile error with Go's own message and leaves nothing", async () => {
    await tiny.writeProgram('package main\n\nfunc main() { println(missing) }\n');
    const failure = await failureOf(tiny.ensure());
    expect(failure.message).to.match(/^"go build" failed/);
    expect(failure.message).to.include('main.go:3:23: undefined: missing');
    expect(await tiny.cached()).to.deep.equal([]);
  });

  it('says what to install when there is no Go', async () => {
    const failure = await failureOf(tiny.ensure({ env: { PATH: '/nonexistent' } }));
    expect(failure.message).to.equal(
      'The tiny binaries must be built once, and Go was not found: ' +
        'install Go 1.21 or newer from https://go.dev/dl and start again.',
    );
    expect(await tiny.cached()).to.deep.equal([]);
  });

  it('says what to install when Go is too old and may not fetch a newer one', async () => {
    await tiny.requireGo('1.999');
    const failure = await failureOf(tiny.ensure({ env: { ...tiny.env, GOTOOLCHAIN: 'local' } }));
    expect(failure.message).to.match(
      /^The tiny binaries .*, and Go is only [\d.]+: install Go 1\.999 or newer from https:\/\/go\.dev\/dl and start again\.$/,
    );
    expect(await tiny.cached()).to.deep.equal([]);
  });
});

async function failureOf(building: Promise<string>): Promise<SetupError> {
  const failure = await building.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(failure).to.be.instanceOf(SetupError);
  return failure as SetupError;
}
