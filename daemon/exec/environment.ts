/** Names of the daemon's own settings; they are nothing to the commands it runs. */
const ownPrefix = 'SOJOURN_';

/** What a command inherits: the container's environment without the daemon's own settings. */
export function inheritedEnvironment(environment: NodeJS.ProcessEnv): Readonly<Record<string, string>> {
  const inherited: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !name.startsWith(ownPrefix)) inherited[name] = value;
  }
  return inherited;
}
