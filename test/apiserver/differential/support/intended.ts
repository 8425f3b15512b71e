/**
 * The differences between Sessions and a custom resource that are meant, each with its reason. A case that names one
 * fails when there is no difference any more.
 */
export const intendedDifferences = {
  admission: 'kube-apiserver runs no admission plugins for aggregated resources',
  size: 'a session may hold 16 KiB in all, because every watcher is sent it',
  noStatus: 'there is no /status: a status is computed, never written',
  phaseSelector: 'status.phase can be selected by, and is evaluated in process',
  names: 'names are DNS-1123 labels of at most 63 characters, because Pods and addresses are named after them',
  labelPrefix: 'prefixes of label keys are a little shorter, because labels are mirrored under a domain of ours',
  foreignSandbox: 'a name that a Sandbox has which is no session cannot be taken: 409',
  runtime: 'the runtime of a new session must be there: 404 that names it',
  protobuf: 'protobuf is never written, not even for a Status or for metadata',
  pages: 'a path that names nothing is answered by a Status, not by a page of plain text',
  yaml: 'what is wrong with malformed YAML is told in the words of another parser, and YAML above 64 KiB is refused',
  words: 'a malformed duration is told in words, not by its pattern',
} as const;

export type IntendedDifference = keyof typeof intendedDifferences;
