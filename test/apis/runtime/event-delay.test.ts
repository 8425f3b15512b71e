import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { expect } from 'chai';
import { Listener } from '../../../apis/runtime/listener.ts';
import { median } from '../../../hack/bench/harness/statistics.ts';
import { useControlPlane } from '../../support/control-plane.ts';

/** Enough that the client's kernel has stopped to acknowledge at once, as it does at the beginning of a connection. */
const rounds = 60;

describe('an answer in pieces over HTTP/1.1 and TLS', () => {
  const plane = useControlPlane();

  it('has each piece sent when it is written, not when the client’s kernel has acknowledged the one before', async () => {
    const { sojournProxy } = plane.controlPlane.pki;
    const listener = await Listener.open({
      address: '127.0.0.1',
      port: 0,
      tls: {
        cert: await readFile(sojournProxy.cert),
        key: await readFile(sojournProxy.key),
        clientCertificates: 'ignore',
      },
      largestHeadersBytes: 64 * 1024,
      mostStreams: 10,
      onRequest: (_request, response) => {
        const output: Writable = response;
        output.write('first');
        // Two more in turns of their own: the second of them would wait for the acknowledgement of the first.
        setImmediate(() => {
          output.write('second');
          setImmediate(() => output.end('last'));
        });
      },
      onUpgrade: () => undefined,
    });
    const socket = connect({ port: listener.port, host: '127.0.0.1', rejectUnauthorized: false });
    try {
      await once(socket, 'secureConnect');
      const taken: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        let answer = '';
        const complete = new Promise<void>((resolve) => {
          const take = (chunk: Buffer) => {
            answer += chunk.toString();
            if (!answer.endsWith('0\r\n\r\n')) return;
            socket.off('data', take);
            resolve();
          };
          socket.on('data', take);
        });
        const began = performance.now();
        socket.write('GET / HTTP/1.1\r\nHost: here\r\n\r\n');
        await complete;
        taken.push(performance.now() - began);
        await delay(1);
      }
      // Linux acknowledges after 40 ms what it need not acknowledge at once.
      expect(median(taken.slice(rounds / 2))).to.be.below(30);
    } finally {
      socket.destroy();
      await listener.stop({ graceMs: 0 });
    }
  });
});
