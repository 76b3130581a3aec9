// @stomp/stompjs through the embedded broker: subscribe, send, nack, ack, commit, abort, heart-beats, disconnect.
//
//     STOMPEDE_NODE_MODULES=FOLDER node stompjs.mjs WS_URL

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const require = createRequire(process.env.STOMPEDE_NODE_MODULES ? `${process.env.STOMPEDE_NODE_MODULES}/` : import.meta.url);
const { Client, Versions } = require('@stomp/stompjs');
globalThis.WebSocket = require('ws');

// The package lets nobody import its package.json, which lies beside the folder of its entry.
const PACKAGE = JSON.parse(readFileSync(join(dirname(require.resolve('@stomp/stompjs')), '../package.json')));

const PATIENCE = 8000;

function converse(url, version) {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${version}: not done in time, came ${JSON.stringify(came)}`)), PATIENCE);
    const came = [];
    let [receipts, goodbyes] = [0, 0];
    const client = new Client({
      brokerURL: url,
      stompVersions: new Versions([version]),
      heartbeatIncoming: 1000,
      heartbeatOutgoing: 1000,
      reconnectDelay: 0,
      onStompError: (frame) => reject(new Error(`${version}: ${frame.headers.message}: ${frame.body}`)),
    });
    // The receipt of DISCONNECT.
    client.onDisconnect = () => { goodbyes += 1; };
    client.onConnect = () => {
      const queue = `/queue/stompjs-${version}`;
      const inTransaction = (body, end) => {
        const transaction = client.begin();
        client.publish({ destination: queue, body, headers: { transaction: transaction.id } });
        transaction[end]();
      };
      const onMessage = async (message) => {
        came.push([message.body, message.headers.redelivered ?? null]);
        if (came.length === 1 && version !== '1.0') return message.nack();
        message.ack();
        if (message.body === 'first ä') {
          inTransaction('committed', 'commit');
          inTransaction('aborted', 'abort');
        }
        if (message.body === 'committed') {
          // Longer than either side bears the silence of the other.
          await new Promise((wake) => setTimeout(wake, 2600));
          await client.deactivate();
          clearTimeout(late);
          const expected = [['first ä', null], ...(version === '1.0' ? [] : [['first ä', 'true']]), ['committed', null]];
          if (receipts !== 1 || goodbyes !== 1 || JSON.stringify(came) !== JSON.stringify(expected)) {
            return reject(new Error(`${version}: ${receipts} receipts, ${goodbyes} goodbyes, ${JSON.stringify(came)}`));
          }
          console.log(`stompjs ${PACKAGE.version} ws ${version}: ok`);
          resolve();
        }
      };
      client.subscribe(queue, onMessage, { id: 's', ack: version === '1.0' ? 'client' : 'client-individual' });
      client.watchForReceipt('sent', () => { receipts += 1; });
      client.publish({ destination: queue, body: 'first ä', headers: { receipt: 'sent' } });
    };
    client.onWebSocketClose = () => { if (came.length < 2) reject(new Error(`${version}: closed early`)); };
    client.activate();
  });
}

for (const version of ['1.0', '1.1', '1.2']) await converse(process.argv[2], version);
process.exit(0);
