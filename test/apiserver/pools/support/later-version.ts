import { registerHooks } from 'node:module';

/** Preloaded into an API server, it makes that process one of a later version, which gives its Pods one annotation more. */
const changes: readonly { file: string; from: string; to: string }[] = [
  { file: '/apis/v1alpha1/pool-record.ts', from: 'templateFormat = 1', to: 'templateFormat = 2' },
  {
    file: '/apis/v1alpha1/pod-template.ts',
    from: "[safeToEvict]: 'false'",
    to: "[safeToEvict]: 'false', later: 'yes'",
  },
];

registerHooks({
  load: (url, context, nextLoad) => {
    const loaded = nextLoad(url, context);
    const change = changes.find(({ file }) => url.endsWith(file));
    if (change === undefined) return loaded;
    const source = String(loaded.source);
    if (!source.includes(change.from)) throw new Error(`${url} has no ${change.from}`);
    return { ...loaded, source: source.replace(change.from, change.to) };
  },
});
