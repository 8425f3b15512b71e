import { type Operation, Operations } from './operations.ts';

/** An order of the parent process. */
interface Order {
  id: number;
  operation: Operation;
  parameters: Parameters<Operations[Operation]>[0];
}

/** The load generator: a process of its own, so that what else a benchmark does is not in the numbers. */
const operations = new Operations();

process.on('message', (order: Order) => {
  carryOut(order).then(
    (result) => process.send?.({ id: order.id, result }),
    (error: unknown) => process.send?.({ id: order.id, error: error instanceof Error ? error.message : String(error) }),
  );
});
process.on('disconnect', () => process.exit());

async function carryOut({ operation, parameters }: Order): Promise<unknown> {
  const run = operations[operation] as (given: typeof parameters) => Promise<unknown>;
  return await run.call(operations, parameters);
}
