import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';

/** Linux takes the ports of outgoing connections, and of servers that ask for any, from above (ip_local_port_range). */
const lowest = 20_000;
const highest = 32_767;

/**
 * A port that is free on every address, for a server that binds it later, or again. One of those that Linux hands out could
 * be lost to anybody in between.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(lowest + Math.floor(Math.random() * (highest - lowest + 1)));
    try {
      await once(server, 'listening');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') continue;
      throw error;
    }
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, 'close');
    return port;
  }
}
