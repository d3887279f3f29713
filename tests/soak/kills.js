// Kills whence-control (SIGKILL) at random moments, while policies change and agents reconnect, and then checks from the
// recorded history that nothing was lost and nothing came back. Faults 1, 2, 5 and 7 of the fault list in one loop.
//
//   node kills.js NPM_DIR PROTO_DIR WHENCE_CONTROL ROUNDS [SEED] [AGENTS]
//
// One writer applies and deletes policies, one after the other, and notes for each whether it was acknowledged. Agents hold
// one delta stream each; they keep what they have while the control plane is away and come back with its versions. After the
// last round everything settles, and `check` reads the history file, nothing else:
//   * after every kill the database passes integrity_check, and its revision is not below one that was acknowledged;
//   * each policy is as its last acknowledged change left it, or as a later one that was not answered would have;
//   * no agent was ever sent an older revision after a newer one, what it had already, or the removal of its bundle;
//   * every agent ends with exactly the policies that the store has, none that was deleted.
'use strict';
const assert = require('assert');
const fs = require('fs');
const os = require('os');
const path = require('path');
const { spawn, execFileSync } = require('child_process');
const [npm, protos, control, roundsText, seedText, agentsText] = process.argv.slice(2);
const rounds = Number(roundsText), agentCount = Number(agentsText || 12);
const load = (name) => require(path.join(npm, 'node_modules', name));
const grpc = load('@grpc/grpc-js');
const loader = load('@grpc/proto-loader');
const protobuf = load('protobufjs');

const definition = loader.loadSync(['whence/v1/admin.proto', 'envoy/service/discovery/v3/discovery.proto'],
  { keepCase: true, defaults: true, longs: Number, includeDirs: [protos] });
const root = grpc.loadPackageDefinition(definition);
const schema = new protobuf.Root();
schema.resolvePath = (origin, target) => path.join(protos, target);
schema.loadSync('whence/v1/resources.proto', { keepCase: true });
const Bundle = schema.lookupType('whence.v1.WorkloadBundle');
const BUNDLE = 'type.googleapis.com/whence.v1.WorkloadBundle';

// Repeatable: a failing seed can be run again.
let seed = Number(seedText || Date.now() % 1e9);
function random() {
  seed = (seed * 1664525 + 1013904223) % 4294967296;
  return seed / 4294967296;
}
const pick = (n) => Math.floor(random() * n);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'whence-kills-'));
const data = path.join(folder, 'data');
const historyPath = path.join(folder, 'history.jsonl');
const history = fs.openSync(historyPath, 'w');
const note = (event) => fs.writeSync(history, JSON.stringify(event) + '\n');

let server, address, stopping = false, up = false;
function start(port) {
  return new Promise((resolve, reject) => {
    let out = '';
    server = spawn(control, ['--data-dir', data, '--listen', `127.0.0.1:${port}`, '--http', 'none', '--log-level', 'off']);
    server.stderr.on('data', (chunk) => process.stderr.write(chunk));
    server.stdout.on('data', (chunk) => {
      out += chunk;
      const found = out.match(/grpc (127\.0\.0\.1:(\d+)).*revision (\d+)/);
      if (!found || up) return;
      address = found[1];
      up = true;
      note({ event: 'started', revision: Number(found[3]) });
      resolve(found[2]);
    });
    server.on('exit', (code, signal) => { up = false; if (signal !== 'SIGKILL') reject(new Error(`ended: ${code} ${signal}`)); });
  });
}
function kill() {
  return new Promise((resolve) => {
    server.once('exit', resolve);
    server.kill('SIGKILL');
  });
}
// On a copy, so that recovery stays whence-control's own work.
function checkIntegrity() {
  const copy = path.join(folder, 'copy');
  fs.rmSync(copy, { recursive: true, force: true });
  fs.mkdirSync(copy);
  for (const name of ['config.db', 'config.db-wal']) {
    if (fs.existsSync(path.join(data, name))) fs.copyFileSync(path.join(data, name), path.join(copy, name));
  }
  const out = execFileSync('sqlite3', [path.join(copy, 'config.db'),
    'pragma integrity_check; select coalesce(max(revision), 0) from revision;']).toString().trim().split('\n');
  note({ event: 'killed', integrity: out[0], revision: Number(out[1]) });
}

process.on('exit', () => { if (server) server.kill('SIGKILL'); });

const options = { 'grpc.use_local_subchannel_pool': 1, 'grpc.initial_reconnect_backoff_ms': 100,
                  'grpc.max_reconnect_backoff_ms': 300, 'grpc.min_reconnect_backoff_ms': 100 };
const connect = (Service) => new Service(address, grpc.credentials.createInsecure(), options);
const patient = new grpc.Metadata({ waitForReady: true });
function call(client, method, request) {
  return new Promise((resolve, reject) => client[method](request, patient, { deadline: Date.now() + 5000 },
    (error, response) => (error ? reject(error) : resolve(response))));
}
const yaml = (name, cidr) => `apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: ${name}, namespace: soak}\n` +
  `spec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: [${cidr}]}}]}]}\n`;

async function write() {
  const client = connect(root.whence.v1.ConfigService);
  const names = [...Array(8).keys()].map((i) => `p${i}`);
  for (let number = 1; !stopping; ++number) {
    const name = names[pick(names.length)];
    const remove = random() < 0.35;
    const cidr = remove ? null : `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}/32`;
    try {
      const response = remove
        ? await call(client, 'Delete', { kind: 'ippolicy', namespace: 'soak', name })
        : await call(client, 'Apply', { files: [{ name: 'f', content: Buffer.from(yaml(name, cidr)) }] });
      note({ event: 'acknowledged', name, cidr, revision: response.revision });
    } catch (error) {
      // Not there to be deleted is an answer, and changes nothing; anything else may or may not have happened.
      if (error.code !== grpc.status.NOT_FOUND) note({ event: 'unanswered', name, cidr, code: error.code });
      if (!up) await sleep(20);
    }
    await sleep(pick(15));
  }
  client.close();
}

class Agent {
  constructor(number) {
    this.id = `soak/agent-${number}`;
    this.versions = {};
    this.policies = null;
    this.client = connect(root.envoy.service.discovery.v3.AggregatedDiscoveryService);
    this.open();
  }
  open() {
    if (this.gone) return;
    const stream = this.client.DeltaAggregatedResources();
    const again = () => { if (!this.gone && this.stream === stream) { this.stream = null; setTimeout(() => this.open(), 50 + pick(100)); } };
    this.stream = stream;
    stream.on('data', (response) => this.take(stream, response));
    stream.on('error', again);
    stream.on('end', again);
    stream.write({ node: { id: this.id }, type_url: BUNDLE, resource_names_subscribe: [this.id],
                   initial_resource_versions: this.versions });
  }
  take(stream, response) {
    for (const resource of response.resources) {
      const bundle = Bundle.decode(resource.resource.value);
      this.versions[resource.name] = resource.version;
      this.policies = {};
      for (const policy of bundle.policies) this.policies[policy.name] = policy.spec.rules[0].from[0].source.remote_ip_blocks[0];
      note({ event: 'sent', agent: this.id, revision: Number(bundle.revision), version: resource.version });
    }
    for (const name of response.removed_resources) note({ event: 'removed', agent: this.id, name });
    if (random() < 0.9) stream.write({ type_url: BUNDLE, response_nonce: response.nonce });
    else setTimeout(() => stream.write({ type_url: BUNDLE, response_nonce: response.nonce }), pick(100));  // a slow one
  }
  close() { this.gone = true; if (this.stream) this.stream.cancel(); this.client.close(); }
}

// What the store has, as "name": "cidr".
async function stored() {
  const client = connect(root.whence.v1.ConfigService);
  const response = await call(client, 'Get', { kind: 'all' });
  client.close();
  return Object.fromEntries(response.documents.map((d) =>
    [d.document.metadata.name, d.document.ip_policy.rules[0].from[0].source.remote_ip_blocks[0]]));
}
async function settle(agents) {
  const want = await stored();
  const same = (agent) => { try { assert.deepStrictEqual(agent.policies || {}, want); return true; } catch { return false; } };
  for (let i = 0; i < 600 && !agents.every(same); ++i) await sleep(50);
  note({ event: 'final', store: want });
  for (const agent of agents) note({ event: 'holds', agent: agent.id, policies: agent.policies || {} });
}

function check() {
  const events = fs.readFileSync(historyPath, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const count = {}, last = {}, possible = {}, newest = {}, version = {};
  let acknowledged = 0;
  for (const e of events) {
    count[e.event] = (count[e.event] || 0) + 1;
    if (e.event === 'acknowledged') {
      if (e.revision) { assert(e.revision > acknowledged, 'revisions rise'); acknowledged = e.revision; }
      last[e.name] = e.cidr;
      possible[e.name] = [];
    }
    if (e.event === 'unanswered') (possible[e.name] = possible[e.name] || []).push(e.cidr);
    if (e.event === 'killed') {
      assert.strictEqual(e.integrity, 'ok');
      assert(e.revision >= acknowledged, `revision ${e.revision} in the file, ${acknowledged} was acknowledged`);
    }
    if (e.event === 'started') assert(e.revision >= acknowledged, `started at ${e.revision}, ${acknowledged} was acknowledged`);
    if (e.event === 'sent') {
      assert(e.revision >= (newest[e.agent] || 0), `${e.agent} was sent ${e.revision} after ${newest[e.agent]}`);
      assert.notStrictEqual(e.version, version[e.agent], `${e.agent} was sent again what it had`);
      newest[e.agent] = e.revision;
      version[e.agent] = e.version;
    }
    assert.notStrictEqual(e.event, 'removed', 'the bundle of a connected agent was taken away');
  }
  const final = events.find((e) => e.event === 'final').store;
  for (const name of new Set([...Object.keys(last), ...Object.keys(possible)])) {
    const allowed = [last[name] || null, ...(possible[name] || [])];
    assert(allowed.includes(final[name] || null), `${name} is ${final[name]}, not one of ${JSON.stringify(allowed)}`);
  }
  for (const e of events.filter((x) => x.event === 'holds')) assert.deepStrictEqual(e.policies, final, e.agent);
  console.log(`kills ${count.killed}, acknowledged ${count.acknowledged}, unanswered ${count.unanswered || 0}, ` +
    `bundles sent ${count.sent} to ${agentCount} agents, last revision ${acknowledged}, policies at the end ${Object.keys(final).length}`);
}

(async () => {
  console.log(`${rounds} rounds, seed ${seed}, history ${historyPath}`);
  const port = await start(0);
  const agents = [...Array(agentCount).keys()].map((i) => new Agent(i));
  const writing = write();
  for (let round = 0; round < rounds; ++round) {
    await sleep(30 + pick(900));
    await kill();
    checkIntegrity();
    if (random() < 0.2) await sleep(pick(300));  // away for longer than a reconnect takes
    await start(port);
  }
  stopping = true;
  await writing;
  await settle(agents);
  for (const agent of agents) agent.close();
  await kill();
  checkIntegrity();
  check();
  fs.rmSync(folder, { recursive: true });
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
