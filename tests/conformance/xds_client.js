// An xDS client of which no line is ours but the conversation: @grpc/grpc-js as transport, the protos of
// @grpc/grpc-js-xds as schema. Usage: node xds_client.js NPM_DIR WHENCE_CONTROL WHENCECTL DATA_DIR
'use strict';
const assert = require('assert');
const path = require('path');
const { spawn, execFileSync } = require('child_process');
const [npm, control, ctl, data] = process.argv.slice(2);
const load = (name) => require(path.join(npm, 'node_modules', name));
const grpc = load('@grpc/grpc-js');
const loader = load('@grpc/proto-loader');

const deps = path.join(npm, 'node_modules/@grpc/grpc-js-xds/deps');
const definition = loader.loadSync(['envoy/service/discovery/v3/ads.proto', 'envoy/service/status/v3/csds.proto'], {
  keepCase: true, defaults: true, oneofs: true, longs: String, enums: String,
  includeDirs: ['envoy-api', 'xds', 'protoc-gen-validate', 'googleapis', ''].map((d) => path.join(deps, d)),
});
const services = grpc.loadPackageDefinition(definition).envoy.service;
const api = services.discovery.v3;
const BUNDLE = 'type.googleapis.com/whence.v1.WorkloadBundle';
const SET = 'type.googleapis.com/whence.v1.IpSetResource';

let server, address;
function start(port) {
  return new Promise((resolve, reject) => {
    server = spawn(control, ['--data-dir', data, '--listen', `127.0.0.1:${port}`, '--http', 'none', '--log-level', 'off']);
    let out = '';
    server.stdout.on('data', (chunk) => {
      out += chunk;
      const found = out.match(/grpc (127\.0\.0\.1:(\d+))/);
      if (found) { address = found[1]; resolve(found[2]); }
    });
    server.on('error', reject);
    server.on('exit', (code) => { if (!address) reject(new Error(`whence-control ended: ${code}`)); });
  });
}
function kill() {
  return new Promise((resolve) => { server.on('exit', resolve); server.kill('SIGKILL'); });
}
const whencectl = (args, input) => execFileSync(ctl, ['--control-plane', address, ...args], { input });
const policy = (name, cidr, app = 'web') => `apiVersion: whence.dev/v1
kind: IpPolicy
metadata: {name: ${name}, namespace: shop}
spec:
  selector: {matchLabels: {app: ${app}}}
  action: DENY
  rules: [{from: [{source: {remoteIpBlocks: [${cidr}]}}]}]
---
`;

// A stream with its answers in a queue; `next` fails when the stream ends or nothing comes.
class Stream {
  constructor(method) {
    const client = new api.AggregatedDiscoveryService(address, grpc.credentials.createInsecure(),
      { 'grpc.use_local_subchannel_pool': 1 });
    this.client = client;
    this.call = client[method]();
    this.queue = [];
    this.waiting = null;
    this.call.on('data', (m) => this.give(m));
    this.call.on('error', (e) => this.give(e));
    this.call.on('end', () => this.give(new Error('stream ended')));
  }
  give(item) {
    if (this.waiting) { const w = this.waiting; this.waiting = null; w(item); } else this.queue.push(item);
  }
  send(message) { this.call.write(message); }
  async next() {
    const item = this.queue.length ? this.queue.shift() : await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('no answer within 20 s')), 20000);
      this.waiting = (x) => { clearTimeout(timer); resolve(x); };
    });
    if (item instanceof Error) throw item;
    return item;
  }
  close() { this.call.cancel(); this.client.close(); }
}
const fields = (app) => ({ labels: { structValue: { fields: { app: { stringValue: app } } } } });
const node = (name) => ({ id: `shop/${name}`, metadata: { fields: fields('web') } });
const names = (response) => response.resources.map((r) => r.name);
const ack = (response, extra = {}) => ({ type_url: response.type_url, response_nonce: response.nonce, ...extra });

// What the control plane says of its clients, asked as any xDS tool asks.
function clientStatus(...matchers) {
  const client = new services.status.v3.ClientStatusDiscoveryService(address, grpc.credentials.createInsecure(),
    { 'grpc.use_local_subchannel_pool': 1 });
  return new Promise((resolve, reject) => client.FetchClientStatus({ node_matchers: matchers },
    (error, response) => { client.close(); if (error) reject(error); else resolve(response.config); }));
}

// Changes may come one by one or merged: acknowledges until the bundle speaks of `text`, and leaves that one open. Before it
// the stream had acknowledged version `acked`.
async function upTo(stream, text, acked = null) {
  for (;;) {
    const response = await stream.next();
    if (response.resources.some((r) => r.resource.value.includes(text))) return { response, acked };
    if (response.resources.length > 0) acked = response.resources[0].version;
    stream.send(ack(response));
  }
}

// Nothing can be waited for; a name that is not there is answered at once, and anything sent before comes first.
async function nothingElse(stream, type) {
  stream.send({ type_url: type, resource_names_subscribe: ['shop/nothing-of-that-name'] });
  const answer = await stream.next();
  assert.deepStrictEqual(names(answer), [], 'something was sent that did not change');
  assert(answer.removed_resources.includes('shop/nothing-of-that-name'));
  stream.send(ack(answer, { resource_names_unsubscribe: ['shop/nothing-of-that-name'] }));
}

async function delta() {
  let s = new Stream('DeltaAggregatedResources');
  s.send({ node: node('web'), type_url: BUNDLE, resource_names_subscribe: ['shop/web'] });
  const first = await s.next();
  assert.deepStrictEqual(names(first), ['shop/web']);
  assert.strictEqual(first.resources[0].resource.type_url, BUNDLE);
  // No second response before the first is answered, however much changes.
  whencectl(['apply', '-f', '-'], policy('a', '192.0.2.0/24'));
  whencectl(['apply', '-f', '-'], policy('b', '198.51.100.0/24'));
  await new Promise((resolve) => setImmediate(resolve));
  assert.strictEqual(s.queue.length, 0);
  s.send(ack(first));
  const { response: second, acked } = await upTo(s, '198.51.100.0/24', first.resources[0].version);
  assert.notStrictEqual(second.nonce, first.nonce);
  assert.notStrictEqual(second.resources[0].version, first.resources[0].version);
  // A refusal: not sent again until it changes. A stale nonce with a subscription still subscribes.
  s.send(ack(second, { error_detail: { code: 3, message: 'shop/web: refused for the test' } }));
  s.send({ type_url: BUNDLE, response_nonce: first.nonce, resource_names_subscribe: ['shop/nothing'] });
  const stale = await s.next();
  assert.deepStrictEqual(stale.removed_resources, ['shop/nothing']);
  assert.deepStrictEqual(names(stale), []);
  s.send(ack(stale));
  const agents = JSON.parse(whencectl(['agents', '-o', 'json']));
  assert(JSON.stringify(agents).includes('refused for the test'));
  const seen = await clientStatus({ node_id: { exact: 'shop/web' } });
  assert.strictEqual(seen.length, 1);
  assert.strictEqual(seen[0].node.id, 'shop/web');
  const bundle = seen[0].generic_xds_configs.find((c) => c.name === 'shop/web');
  assert.strictEqual(bundle.config_status, 'ERROR');
  assert.strictEqual(bundle.client_status, 'NACKED');
  assert.strictEqual(bundle.version_info, acked);
  assert.strictEqual(bundle.error_state.version_info, second.resources[0].version);
  assert.strictEqual(bundle.error_state.details, 'shop/web: refused for the test');
  assert(Number(bundle.error_state.last_update_attempt.seconds) > 1e9);
  whencectl(['apply', '-f', '-'], policy('b', '203.0.113.0/24'));
  const { response: third } = await upTo(s, '203.0.113.0/24');
  assert.deepStrictEqual(names(third), ['shop/web']);
  s.send(ack(third));
  await nothingElse(s, BUNDLE);
  const now = (await clientStatus({ node_id: { prefix: 'shop/w' } }))[0].generic_xds_configs;
  const synced = now.find((c) => c.name === 'shop/web');
  assert.strictEqual(synced.config_status, 'SYNCED');
  assert.strictEqual(synced.client_status, 'ACKED');
  assert.strictEqual(synced.version_info, third.resources[0].version);
  assert.strictEqual(synced.xds_config, null, 'bundles hold keys: who may look must not see them');
  assert.strictEqual(now.find((c) => c.name === 'shop/nothing').client_status, 'DOES_NOT_EXIST');
  assert.deepStrictEqual(await clientStatus({ node_id: { exact: 'shop/nobody' } }), []);
  // What the server does not understand it must not take for "all".
  await assert.rejects(clientStatus({ node_id: { safe_regex: { regex: '.*' } } }), (e) => e.code === grpc.status.INVALID_ARGUMENT);
  await assert.rejects(clientStatus({ node_metadatas: [{ path: [{ key: 'x' }] }] }), (e) => e.code === grpc.status.INVALID_ARGUMENT);
  const version = third.resources[0].version;
  s.close();

  // The control plane dies and comes back: the same version, hence nothing is sent; a name that the client should not
  // have is taken away.
  const port = address.split(':')[1];
  await kill();
  await start(port);
  s = new Stream('DeltaAggregatedResources');
  s.send({ node: node('web'), type_url: BUNDLE, resource_names_subscribe: ['shop/web'],
           initial_resource_versions: { 'shop/web': version, 'shop/stolen': '1' } });
  const gone = await s.next();
  assert.deepStrictEqual(names(gone), [], 'an unchanged resource was sent again after a restart');
  assert.deepStrictEqual(gone.removed_resources, ['shop/stolen']);
  s.send(ack(gone));
  // A wildcard is what concerns this node and no more; a set of others is refused by name.
  whencectl(['apply', '-f', '-'], 'apiVersion: whence.dev/v1\nkind: IpSet\nmetadata: {name: s, namespace: shop}\n' +
    'spec: {cidrs: [10.0.0.0/8]}\n');
  s.send({ type_url: SET, resource_names_subscribe: ['*', 'shop/s'] });
  const sets = await s.next();
  assert.deepStrictEqual(names(sets), []);
  assert.deepStrictEqual(sets.removed_resources, ['shop/s']);
  s.close();
}

async function stateOfTheWorld() {
  const s = new Stream('StreamAggregatedResources');
  s.send({ node: node('sotw'), type_url: BUNDLE, resource_names: ['shop/sotw'] });
  const first = await s.next();
  assert.strictEqual(first.resources.length, 1);
  s.send({ type_url: BUNDLE, resource_names: ['shop/sotw'], version_info: first.version_info, response_nonce: first.nonce });
  whencectl(['apply', '-f', '-'], policy('c', '203.0.113.7/32'));
  const second = await s.next();  // had the ACK been answered, this would carry the old version
  assert.notStrictEqual(second.version_info, first.version_info);
  // NACK: the old version, the new nonce. It is not pushed again; the next change is.
  s.send({ type_url: BUNDLE, resource_names: ['shop/sotw'], version_info: first.version_info,
           response_nonce: second.nonce, error_detail: { code: 3, message: 'no' } });
  whencectl(['delete', 'ippolicy', 'c', '-n', 'shop']);
  const third = await s.next();
  assert.strictEqual(third.version_info, first.version_info, 'versions are not a function of the content');
  s.close();
}

async function refusals() {
  for (const [request, code] of [
    [{ type_url: BUNDLE, resource_names_subscribe: ['x'] }, grpc.status.INVALID_ARGUMENT],  // no node
    [{ node: node('web'), type_url: '' }, grpc.status.INVALID_ARGUMENT],
    [{ node: node('web'), type_url: BUNDLE, resource_names_subscribe: ['x'.repeat(300)] }, grpc.status.RESOURCE_EXHAUSTED],
  ]) {
    const s = new Stream('DeltaAggregatedResources');
    s.send(request);
    await assert.rejects(s.next(), (e) => e.code === code);
    s.close();
  }
}

(async () => {
  await start(0);
  await delta();
  await stateOfTheWorld();
  await refusals();
  await kill();
  console.log('grpc-js: delta, state of the world, client status, restart and refusals as the protocol wants them');
  process.exit(0);
})().catch((error) => {
  console.error(error);
  if (server) server.kill('SIGKILL');
  process.exit(1);
});
