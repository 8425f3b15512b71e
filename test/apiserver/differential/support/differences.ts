/** Where two JSON values differ, one line each: `a.b[0]: session "x", twin "y"`. */
export function differencesBetween(session: unknown, twin: unknown, path = ''): string[] {
  if (isMembers(session) && isMembers(twin)) {
    const names = [...new Set([...Object.keys(twin), ...Object.keys(session)])];
    return names.flatMap((name) =>
      differencesBetween(session[name], twin[name], path === '' ? name : `${path}.${name}`),
    );
  }
  if (Array.isArray(session) && Array.isArray(twin)) {
    const length = Math.max(session.length, twin.length);
    return Array.from({ length }, (_, index) => index).flatMap((index) =>
      differencesBetween(session[index], twin[index], `${path}[${index}]`),
    );
  }
  if (Object.is(session, twin)) return [];
  return [`${path}:\n  session ${shown(session)}\n  twin    ${shown(twin)}`];
}

function isMembers(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function shown(value: unknown): string {
  return value === undefined ? '(nothing)' : JSON.stringify(value);
}
