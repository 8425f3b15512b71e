/** What the program behind every front answers, for whoever asks it. */

/** `GET` and `POST`, answered with {@link smallBody}. */
export const smallPath = '/small';
export const smallBody = 'x'.repeat(100);

/** `GET` sends this many bytes, `POST` takes as many as there come and says how many: no more than a call may have. */
export const bulkPath = '/bulk';
export const bulkBytes = 32 * 1024 * 1024;

/** `GET` sends one event at once, and ends its stream {@link streamRestMs} later. */
export const streamPath = '/stream';
export const streamRestMs = 3;

/** `GET` with an upgrade: a connection that says nothing by itself and gives back what it hears. */
export const socketPath = '/socket';
