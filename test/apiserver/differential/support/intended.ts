/**
 * The differences between Sessions and a custom resource that are meant, each with its reason. A case that names one
 * fails when there is no difference any more.
 */
export const intendedDifferences = {
  admission: 'kube-apiserver runs no admission plugins for aggregated resources',
  audit: "kube-apiserver's audit has no bodies of requests for aggregated resources",
  size: 'a session may hold 16 KiB in all, because every watcher is sent it',
  warmNames: 'a session that starts warm is named after its sandbox, which was made before it',
  noStatus: 'there is no /status: a status is computed, never written',
  phaseSelector: 'status.phase can be selected by, and is evaluated in process',
  names: 'names are DNS-1123 labels of at most 63 characters, because Pods and addresses are named after them',
  labelPrefix: 'prefixes of label keys are a little shorter, because labels are mirrored under a domain of ours',
  poolOwners: 'a pool or claim of agent-sandbox owns no session: agent-sandbox would take its Sandbox for a member',
  ownFinalizers: 'two finalizers of our own domain are refused: so the two of the garbage collector are stored',
  foreignSandbox: 'a name that a Sandbox has which is no session cannot be taken: 409',
  runtime: 'the runtime of a new session must be there: 404 that names it',
  idempotencyKey: 'the header Idempotency-Key of a create makes one session of all requests that carry it',
  protobuf: 'protobuf is never written, not even for a Status or for metadata',
  pages: 'a path that names nothing is answered by a Status, not by a page of plain text',
  yaml: 'what is wrong with malformed YAML is told in the words of another parser, and YAML above 64 KiB is refused',
  words: 'a malformed duration is told in words, not by its pattern',
  nesting: 'bodies nested deeper than 1,000 levels and patches deeper than 64 are refused',
  causes: 'at most 64 causes are told, and long values are cut in messages',
  namedCreate: "a POST to an item's path creates only an object of that name",
  columns: 'columns are computed texts, and there are some that a custom resource has nothing for',
  continueTokens: 'a continue token goes on only with the namespace and selectors of its list',
  watchPath: 'the path prefix /watch/, deprecated since Kubernetes 1.11, is not served',
  watchSockets: 'watches are not served over WebSocket',
  manyWatches:
    'a user has a limit of watches at once in one process, because each costs memory for as long as it lasts',
  partialWatch: 'a watch as PartialObjectMetadataList is sent single objects, where a custom resource ends it',
  lateDeletion: 'nobody can add a finalizer to a terminating Sandbox, so a second DELETE can only take one away',
  dryDeletion: 'a dry run of a deletion that leaves no finalizer is answered as the deletion itself',
  unsafeDeletion: 'ignoreStoreReadErrorWithClusterBreakingPotential is refused in fewer words',
  ownersDeletion: 'an owner that is deleted in the foreground may go before what its session owns',
} as const;

export type IntendedDifference = keyof typeof intendedDifferences;
