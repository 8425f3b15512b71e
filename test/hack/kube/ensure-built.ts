// Builds what its arguments say (a plan as JSON, a cache folder) and prints the reports and then the result.
import type { Plan } from '../../../hack/kube/build.ts';
import { ensureBuilt } from '../../../hack/kube/cache.ts';

const [plan = '', cacheDir = ''] = process.argv.slice(2);
console.log(
  await ensureBuilt(JSON.parse(plan) as Plan, {
    cacheDir,
    env: process.env,
    report: (line) => {
      console.log(line);
    },
  }),
);
