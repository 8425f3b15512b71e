/**
 * Preloaded into one process (`--import URL?ms=5000`), it makes that process's clock differ from all others by so many
 * milliseconds: everything in it that reads the time does so by Date.
 */
const aheadMs = Number(new URL(import.meta.url).searchParams.get('ms'));
const TrueDate = Date;

globalThis.Date = new Proxy(TrueDate, {
  construct: (target, args: unknown[], self) =>
    Reflect.construct(target, args.length === 0 ? [TrueDate.now() + aheadMs] : args, self) as Date,
  get: (target, name) => (name === 'now' ? () => TrueDate.now() + aheadMs : (Reflect.get(target, name) as unknown)),
});
