import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { checkout } from '../start/places.ts';

/** `npm run bundle`: one file per binary in dist/, as the images hold them. */
const binaries = ['apiserver', 'proxy', 'daemon'];
const out = join(checkout, 'dist');

await rm(out, { recursive: true, force: true });
await mkdir(out, { recursive: true });
for (const binary of binaries) {
  const { metafile } = await build({
    entryPoints: [join(checkout, binary, 'main.ts')],
    outfile: join(out, `${binary}.mjs`),
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    metafile: true,
    legalComments: 'linked',
    // CommonJS dependencies call require for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'warning',
  });
  const size = Math.max(...Object.values(metafile.outputs).map(({ bytes }) => bytes));
  process.stdout.write(`dist/${binary}.mjs  ${Math.round(size / 1024)} KiB\n`);
}
