/** Test files that run one after the other, on a control plane of their own. */
export interface Lane {
  name: string;
  files: string[];
}

/** Folders and files by lane; what is in none of them is in the first. None takes much longer than another. */
const folders: Readonly<Record<string, readonly string[]>> = {
  parts: [],
  // What takes its time: waits for an outage to pass, a pool to fill or a storm to end, or runs benchmarks.
  slow: [
    'test/apiserver/apply/',
    'test/apiserver/pools/',
    'test/e2e/namespace-deletion.test.ts',
    'test/e2e/outages.test.ts',
    'test/e2e/proxy-replicas.test.ts',
    'test/e2e/restarts',
    'test/e2e/store-compaction.test.ts',
    'test/e2e/watch-storm.test.ts',
    'test/hack/bench/',
    'test/proxy/clock-skew.test.ts',
  ],
  // Calls from end to end, and the suites that kill and fill what they run on, or take it away.
  whole: [
    'test/apiserver/discovery.test.ts',
    'test/apiserver/hostile-input',
    'test/apiserver/security/',
    'test/e2e/',
    'test/proxy/',
  ],
};

/**
 * Spreads test files over lanes that run at once: two cores are not busy with one. What disturbs a
 * cluster is kept away from what does not, so that no suite sees another one's outage.
 * @param files paths from the root of the project.
 */
export function lanesOf(files: readonly string[]): Lane[] {
  const isIn = (name: string) => (file: string) => folders[name]?.some((start) => file.startsWith(start)) === true;
  const laneOf = (file: string) => Object.keys(folders).find((name) => isIn(name)(file)) ?? 'parts';
  // The node's suites run nodes of their own on the lane's control plane, so they come before those whose cluster stays.
  const hasOwnNode = (file: string) => file.startsWith('test/hack/node/');
  const inOrder = (some: readonly string[]) =>
    some.toSorted((a, b) => Number(hasOwnNode(b)) - Number(hasOwnNode(a)) || (a < b ? -1 : 1));
  return Object.keys(folders)
    .map((name) => ({ name, files: inOrder(files.filter((file) => laneOf(file) === name)) }))
    .filter((lane) => lane.files.length > 0);
}
