// Provokes faults of the fault list for real, one after the other, against the real whence-control. The numbers are the list's.
//
//   node faults.js NPM_DIR PROTO_DIR WHENCE_CONTROL WHENCECTL DATA_DIR
//
// DATA_DIR should be a small file system of its own (fault 3 fills it); run.py mounts one.
'use strict';
const assert = require('assert');
const fs = require('fs');
const path = require('path');
const { spawn } = require('child_process');
const [npm, protos, control, ctl, data] = process.argv.slice(2);
const load = (name) => require(path.join(npm, 'node_modules', name));
const grpc = load('@grpc/grpc-js');
const loader = load('@grpc/proto-loader');
const root = grpc.loadPackageDefinition(loader.loadSync(
  ['whence/v1/admin.proto', 'whence/v1/access_log.proto', 'envoy/service/discovery/v3/discovery.proto'],
  { keepCase: true, defaults: true, longs: Number, includeDirs: [protos] }));
const BUNDLE = 'type.googleapis.com/whence.v1.WorkloadBundle';
const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

let server, address;
const children = [];
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });
let http;
function start(listen = '127.0.0.1:0', flags = []) {
  return new Promise((resolve, reject) => {
    let out = '', said = '';
    server = spawn(control, ['--data-dir', path.join(data, 'db'), '--listen', listen, '--http', '127.0.0.1:0', '--log-level', 'off',
                             ...flags]);
    children.push(server);
    server.stderr.on('data', (chunk) => { said += chunk; });
    server.stdout.on('data', (chunk) => {
      out += chunk;
      const found = out.match(/grpc (127\.0\.0\.1:\d+), http (127\.0\.0\.1:\d+)/);
      if (found) { address = found[1]; http = found[2]; resolve(); }
    });
    server.on('close', (code, signal) => reject(new Error(`whence-control ended: ${code} ${signal} ${said}`)));
  });
}
function kill() {
  return new Promise((resolve) => { server.once('exit', resolve); server.kill('SIGKILL'); });
}
async function metric(name) {
  const text = await (await fetch(`http://${http}/metrics`)).text();
  const line = text.split('\n').find((l) => l.startsWith(name + ' '));
  return line ? Number(line.slice(name.length + 1)) : undefined;
}
const rssMiB = () => Number(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;
// Not spawnSync: agents in this process must go on answering meanwhile.
function ctlRun(args, input) {
  return new Promise((resolve) => {
    const child = spawn(ctl, ['--control-plane', address, ...args]);
    const done = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk) => { done.stdout += chunk; });
    child.stderr.on('data', (chunk) => { done.stderr += chunk; });
    child.stdin.on('error', () => {});
    child.stdin.end(input || '');
    child.on('close', (status) => resolve({ ...done, status }));
  });
}
const policy = (name, cidrs) => `apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: ${name}, namespace: shop}\n` +
  `spec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: [${cidrs}]}}]}]}\n`;
async function apply(yaml) {
  const done = await ctlRun(['apply', '-f', '-'], yaml);
  assert.strictEqual(done.status, 0, done.stderr);
}
async function until(what, test, seconds = 20) {
  for (let i = 0; i < 20 * seconds; ++i) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`in ${seconds} s: ${what}`);
}

const clientOptions = { 'grpc.use_local_subchannel_pool': 1, 'grpc.initial_reconnect_backoff_ms': 100,
                        'grpc.min_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 300 };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Agent {
  // `refuses`: texts that it will not have in a bundle. `again`: come back when the stream ends, as a real one does.
  constructor(name, { refuses, again, client } = {}) {
    this.name = name;
    this.refuses = refuses;
    this.again = again;
    this.seen = 0;
    this.removed = 0;
    this.refused = [];
    this.statuses = [];
    this.status = null;
    this.versions = {};
    this.shared = client;
    this.client = client || new root.envoy.service.discovery.v3.AggregatedDiscoveryService(address,
      grpc.credentials.createInsecure(), clientOptions);
    this.delay = 500;
    this.open();
  }
  open() {
    if (this.gone) return;
    const stream = this.stream = this.client.DeltaAggregatedResources();
    stream.on('data', (response) => {
      this.delay = 500;
      const text = response.resources.map((r) => r.resource.value.toString('latin1')).join();
      this.removed += response.removed_resources.length;
      if (this.refuses && text.includes(this.refuses)) {
        this.refused.push(response.nonce);
        stream.write({ type_url: BUNDLE, response_nonce: response.nonce,
                       error_detail: { code: 3, message: `shop/${this.name}: ${this.refuses} cannot be used` } });
        return;
      }
      this.seen += response.resources.length;
      for (const r of response.resources) this.versions[r.name] = r.version;
      if (response.resources.length) this.text = text;
      stream.write({ type_url: BUNDLE, response_nonce: response.nonce });
    });
    stream.on('error', (error) => {
      this.status = error;
      this.statuses.push(error.code);
      if (!this.again || this.gone) return;
      setTimeout(() => this.open(), Math.max(50, Math.random() * this.delay));
      this.delay = Math.min(this.delay * 2, 4000);
    });
    stream.write({ node: { id: `shop/${this.name}` }, type_url: BUNDLE, resource_names_subscribe: [`shop/${this.name}`],
                   initial_resource_versions: this.versions });
  }
  close() { this.gone = true; this.stream.cancel(); if (!this.shared) this.client.close(); }
}

async function fault3_fullDisk(agent) {
  const filler = path.join(data, 'filler');
  const fill = () => {
    try { for (;;) fs.appendFileSync(filler, Buffer.alloc(64 << 10)); } catch (error) { assert.strictEqual(error.code, 'ENOSPC'); }
  };
  fill();
  const before = (await ctlRun(['get', 'all', '-o', 'json'])).stdout;
  await apply(policy('full', ['192.0.2.8']));  // that is what space is kept for
  await until('the agent gets it', () => agent.text && agent.text.includes('192.0.2.8'));
  // Somebody takes even the space that is kept for policies.
  fs.truncateSync(path.join(data, 'db', 'config.db.reserve'), 0);
  fill();
  let failed;
  // A write-ahead log may have a few free pages left.
  for (let i = 0; i < 40 && !failed; ++i) {
    const done = await ctlRun(['apply', '-f', '-'], policy('full', [...Array(400).keys()].map((k) => `10.${i}.${k >> 8}.${k & 255}`)));
    if (done.status !== 0) failed = done;
  }
  assert(failed, 'no write failed on a full disk');
  assert.match(failed.stderr, /full|space/i);
  assert.strictEqual((await ctlRun(['get', 'all', '-o', 'json'])).status, 0, 'reads go on');
  assert.strictEqual(agent.status, null, 'streams go on');
  assert(before.length > 0);
  fs.rmSync(filler);
  await until('writes go on without a restart', async () => (await ctlRun(['apply', '-f', '-'], policy('space', ['192.0.2.9']))).status === 0);
  await until('the agent gets it', () => agent.text && agent.text.includes('192.0.2.9'));
}

// An agent in a process of its own that is stopped in the middle: it costs one pending state and nobody else anything.
async function fault10_stoppedReader(agent) {
  const code = `const grpc=require(${JSON.stringify(path.join(npm, 'node_modules/@grpc/grpc-js'))});` +
    `const c=new grpc.Client(${JSON.stringify(address)},grpc.credentials.createInsecure());` +
    `const id=Buffer.from('shop/stopped');const t=Buffer.from('${BUNDLE}');` +
    `const f=(n,b)=>Buffer.concat([Buffer.from([n<<3|2,b.length]),b]);` +
    `const s=c.makeBidiStreamRequest('${DELTA}',(x)=>x,(x)=>x);s.on('data',()=>console.log('data'));s.on('error',()=>{});` +
    `s.write(Buffer.concat([f(1,f(1,id)),f(2,t),f(3,id)]));`;
  const child = spawn(process.execPath, ['-e', code]);
  children.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGSTOP');
  const large = (i) => policy('large', [...Array(3000).keys()].map((k) => `10.${i}.${k >> 8}.${k & 255}`));
  for (let i = 0; i < 5; ++i) await apply(large(i));
  const start = rssMiB();
  for (let i = 5; i < 30; ++i) {
    await apply(large(i));
    await until('others get each change', () => agent.text.includes(`10.${i}.0.0`));
  }
  const grown = rssMiB() - start;
  assert(grown < 48, `${grown} MiB more with a stopped reader`);
  child.kill('SIGKILL');
  await apply(policy('large', ['192.0.2.1']));
}

// The disk is full while agents deliver access records: nothing is acknowledged that was not stored, and nothing is lost.
async function fault4_fullDiskOfLogs(agent) {
  const client = new root.whence.v1.AccessLogIngest(address, grpc.credentials.createInsecure(), clientOptions);
  const record = (seq) => ({ time_us: Date.now() * 1000, method: Buffer.from('GET'), path: Buffer.from('/' + 'x'.repeat(900) + seq),
                            status: 200 });
  let next = 1, acknowledged = 0, ended = 0, stopping = false, stream;
  const size = 200;
  const pump = () => {
    const window = stream;
    for (; next < acknowledged + 4 * size && !stopping; next += size) {
      window.write({ batch: { boot: 'boot-1', first_seq: next, records: [...Array(size).keys()].map((i) => record(next + i)) } });
    }
  };
  const open = () => {
    next = acknowledged + 1;  // what was not acknowledged is sent again
    const mine = stream = client.Stream();
    mine.on('data', (ack) => { acknowledged = Math.max(acknowledged, ack.last_seq); if (mine === stream) pump(); });
    mine.on('error', () => { ++ended; if (!stopping && mine === stream) setTimeout(open, 200); });
    mine.on('end', () => {});
    mine.write({ hello: { agent: 'shop/reporter' } });
    pump();
  };
  open();
  await until('records are acknowledged', () => acknowledged >= 2 * size);
  const filler = path.join(data, 'filler');
  const fill = () => { try { for (;;) fs.appendFileSync(filler, Buffer.alloc(256 << 10)); } catch (e) { assert.strictEqual(e.code, 'ENOSPC'); } };
  fill();
  // Without space the stream ends instead of an acknowledgement; what a write-ahead log still holds may be taken first.
  await until('the intake refuses', () => { fill(); return ended > 0; });
  const wereEnded = ended;
  await until('and goes on refusing', () => { fill(); return ended >= wereEnded + 2; });
  // The tables of policies have a file, and space, of their own: reads go on, agents stay.
  assert.strictEqual((await ctlRun(['get', 'all', '-o', 'json'])).status, 0);
  assert.strictEqual(agent.status, null);
  // A batch that finds room where older ones were goes itself when the next one needs it: so from here on.
  const refusals = ended;
  await until('it has refused once more', () => { fill(); return ended > refusals; });
  const before = acknowledged;
  fs.rmSync(filler);
  await until('records are taken again without a restart', () => acknowledged >= before + 4 * size);
  stopping = true;
  await until('all that is under way is answered', () => acknowledged === next - 1);
  const logs = new root.whence.v1.LogService(address, grpc.credentials.createInsecure(), clientOptions);
  const top = await new Promise((resolve, reject) => logs.Top({ by: 'WORKLOADS' },
    (error, response) => (error ? reject(error) : resolve(response))));
  // Everything acknowledged was committed, each once and none left out. Before the intake refuses, the oldest go to make room
  // for the newest, as retention has it; what came when there was space again is all there.
  assert.strictEqual(await metric('whence_access_log_records_total'), acknowledged);
  assert.strictEqual(await metric('whence_access_log_missing_total'), 0);
  const purged = acknowledged - top.total;
  assert(purged === 0 || (await metric('whence_access_log_segments_dropped_total')) > 0, `${purged} acknowledged records are gone`);
  assert(top.total >= acknowledged - before, `${top.total} stored, ${acknowledged - before} came after the disk was full`);
  stream.cancel();
  client.close();
  logs.close();
}

// The store is there but not readable yet: nobody is served, and least of all an empty world. And a store that was lost is not
// replaced by an empty one, which would take every policy away.
async function fault7_notLoaded(agent) {
  await until('the agent is settled', async () => (await metric('whence_discovery_unanswered_streams')) === 0);
  const listen = address, seen = agent.seen;
  agent.again = true;
  await kill();
  // Another process holds the database, as a backup tool might: loading it takes until it lets go.
  const holder = spawn('sqlite3', [path.join(data, 'db/config.db')]);
  children.push(holder);
  holder.stdin.write('pragma locking_mode=exclusive; begin exclusive; select "held";\n');
  await new Promise((resolve) => holder.stdout.on('data', (chunk) => { if (/held/.test(chunk)) resolve(); }));
  const starting = start(listen).then(() => 'ready', (error) => error);
  await until('the agent tries', () => agent.statuses.length >= 3);
  assert(agent.statuses.every((code) => code === grpc.status.UNAVAILABLE), `${agent.statuses}`);
  assert.strictEqual(agent.seen, seen);
  holder.stdin.end('rollback;\n');
  let outcome = await starting;
  if (outcome !== 'ready') {  // it may say that the file is busy and end; then a supervisor starts it again
    assert.match(outcome.message, /busy|locked|in use/i);
    await start(listen);
  }
  await until('the agent is back', async () => (await metric('whence_discovery_agents')) === 1);
  assert.strictEqual(agent.removed, 0, 'its bundle was taken away');
  assert.strictEqual(await metric('whence_discovery_resources_sent_total'), 0, 'what did not change was sent again');
  agent.status = null;

  // config.db is gone, or emptied, and the rest of the directory is not.
  for (const loss of [(file) => fs.renameSync(file, file + '.kept'), (file) => { fs.copyFileSync(file, file + '.kept'); fs.truncateSync(file, 0); }]) {
    const file = path.join(data, 'db/config.db');
    await kill();
    // Into one file, so that this one file is the configuration.
    require('child_process').execFileSync('sqlite3', [file, 'pragma wal_checkpoint(truncate);']);
    for (const suffix of ['-wal', '-shm']) fs.rmSync(file + suffix, { force: true });
    loss(file);
    await assert.rejects(start(listen), /config\.db/);
    fs.rmSync(file, { force: true });
    fs.renameSync(file + '.kept', file);
    await start(listen);
    await until('the agent is back', async () => (await metric('whence_discovery_agents')) === 1);
    assert.strictEqual(agent.removed, 0, 'its bundle was taken away');
    agent.status = null;
  }
  agent.again = false;
}

// A thousand agents come back in the same moment, and the control plane lets only so many in at a time.
async function fault9_herd(agent) {
  const listen = address, count = 1000;
  agent.again = true;
  const clients = [...Array(20).keys()].map(() => new root.envoy.service.discovery.v3.AggregatedDiscoveryService(address,
    grpc.credentials.createInsecure(), clientOptions));
  const herd = [...Array(count).keys()].map((i) => new Agent(`herd-${i}`, { again: true, client: clients[i % clients.length] }));
  await until('all are served', () => herd.every((a) => a.seen > 0));
  await until('all have answered', async () => (await metric('whence_discovery_unanswered_streams')) === 0);
  await kill();
  await start(listen, ['--admit', '200']);
  const began = Date.now();
  await until('all are back', async () => (await metric('whence_discovery_agents')) === count + 1, 60);
  const took = Date.now() - began;
  const deferred = await metric('whence_discovery_streams_deferred_total');
  assert(deferred > 0, 'nobody was told to come back later');
  // No second wave: nothing is sent to who has it, and who is in stays in.
  assert.strictEqual(await metric('whence_discovery_resources_sent_total'), 0);
  assert.strictEqual(await metric('whence_discovery_streams_total'), count + 1);
  const grown = rssMiB();
  assert(grown < 300, `${grown} MiB`);
  agent.status = null;
  await apply(policy('after-herd', ['192.0.2.77']));
  await until('a change reaches all', () => [agent, ...herd].every((a) => a.text.includes('192.0.2.77')), 60);
  console.log(`fault9: ${count} agents back after ${took} ms, ${deferred} times deferred, ${grown.toFixed(0)} MiB`);
  for (const a of herd) a.close();
  for (const client of clients) client.close();
  agent.again = false;
}

// One agent cannot use a policy: it alone keeps the one before, it says why, and it is not asked again until there is another.
async function fault11_refusal(agent) {
  const picky = new Agent('picky', { refuses: '203.0.113.66' });
  await until('it is served', () => picky.seen > 0);
  const seen = picky.seen;
  await apply(policy('disputed', ['203.0.113.66']));
  await until('it refuses', () => picky.refused.length > 0);
  await until('the others go on', () => agent.text.includes('203.0.113.66'));
  const shown = JSON.parse((await ctlRun(['agents', '-o', 'json'])).stdout);
  const text = JSON.stringify(shown);
  assert(text.includes('shop/picky: 203.0.113.66 cannot be used'), text.slice(0, 500));
  // Changes elsewhere do not bring it again: they concern other workloads.
  for (let i = 0; i < 5; ++i) {
    await apply(policy('elsewhere', [`10.0.0.${i}`]).replace('namespace: shop', 'namespace: other'));
  }
  await until('nothing is under way', async () => (await metric('whence_discovery_unanswered_streams')) === 0);
  assert.strictEqual(picky.refused.length, 1, 'a refused version was sent again');
  assert.strictEqual(picky.seen, seen);
  const status = await new Promise((resolve, reject) => {
    const csds = new grpc.Client(address, grpc.credentials.createInsecure(), clientOptions);
    csds.makeUnaryRequest('/envoy.service.status.v3.ClientStatusDiscoveryService/FetchClientStatus', (x) => x, (x) => x,
      Buffer.alloc(0), (error, bytes) => { csds.close(); if (error) reject(error); else resolve(bytes.toString('latin1')); });
  });
  assert(status.includes('shop/picky: 203.0.113.66 cannot be used'));
  await apply(policy('disputed', ['203.0.113.67']));
  await until('the next version is sent, and taken', () => picky.text.includes('203.0.113.67'));
  picky.close();
}

async function fault12_poison() {
  const deep = 'apiVersion: whence.dev/v1\nkind: IpPolicy\nmetadata: {name: deep}\nspec: ' + '{rules: ['.repeat(200) + ']}'.repeat(200);
  const rules = policy('many', ['10.0.0.0/8']).replace('rules: [', 'rules: [' + '{from: [{source: {remoteIpBlocks: [10.0.0.0/8]}}]},'.repeat(20000));
  const regex = policy('name', ['"(a+)+$"']);
  const alias = 'a: &a [x,x,x,x,x,x,x,x,x]\n' + [...'bcdefghij'].map((c, i) =>
    `${c}: &${c} [${Array(9).fill('*' + 'abcdefghij'[i]).join(',')}]\n`).join('') + 'kind: *j\n';
  for (const [what, text] of Object.entries({ deep, rules, regex, alias })) {
    const done = await ctlRun(['apply', '-f', '-'], text);
    assert.strictEqual(done.status, 1, `${what} was taken: ${done.stdout}`);
    assert(done.stderr.length > 0 && !/cannot reach/.test(done.stderr), `${what}: ${done.stderr.slice(0, 300)}`);
  }
  assert(rssMiB() < 1500, `${rssMiB()} MiB after poisoned policies`);
}

async function fault14_sameId() {
  const first = new Agent('twin');
  await until('the first is served', () => first.seen > 0);
  const second = new Agent('twin');
  await until('the older one is told', () => first.status);
  assert.strictEqual(first.status.code, grpc.status.ABORTED);
  assert.match(first.status.details, /same node id/);
  await until('the newer one is served', () => second.seen > 0);
  assert.strictEqual(second.status, null);
  first.close();
  second.close();
}

// One message of raw bytes on a discovery stream; the status that it ends with.
function raw(bytes, headers = {}) {
  return new Promise((resolve) => {
    const client = new grpc.Client(address, grpc.credentials.createInsecure(),
      { 'grpc.use_local_subchannel_pool': 1, 'grpc.max_send_message_length': -1, ...headers });
    const stream = client.makeBidiStreamRequest(DELTA, (x) => x, (x) => x);
    const timer = setTimeout(() => stream.cancel(), 30000);
    stream.on('data', () => {});
    stream.on('error', () => {});
    stream.on('status', (status) => { clearTimeout(timer); client.close(); resolve(status.code); });
    stream.write(bytes);
  });
}
async function fault19_messages() {
  const field = (number, body) => {
    const size = [];
    for (let n = body.length; ; n >>>= 7) { if (n < 128) { size.push(n); break; } size.push((n & 127) | 128); }
    return Buffer.concat([Buffer.from([(number << 3) | 2, ...size]), body]);
  };
  let nested = field(5, Buffer.alloc(0));  // Value.struct_value > Struct.fields > …, 1000 deep
  for (let i = 0; i < 1000; ++i) nested = field(5, field(1, field(2, nested)));
  const cases = {
    'a node of 5 MB': field(1, field(1, Buffer.alloc(5 << 20, 'a'))),
    '3 million empty names': Buffer.alloc(6e6, Buffer.from([0x1a, 0x00])),
    'depth 1000': field(1, field(3, field(1, field(2, nested)))),
    '70 MB': field(1, field(1, Buffer.alloc(70 << 20, 'a'))),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    const code = await raw(bytes);
    if (process.env.VERBOSE) console.log(what, code, rssMiB());
    if (what === 'depth 1000') assert.strictEqual(code, grpc.status.INVALID_ARGUMENT, 'an error, not an orderly end');
    assert([grpc.status.RESOURCE_EXHAUSTED, grpc.status.INVALID_ARGUMENT, grpc.status.INTERNAL, grpc.status.CANCELLED,
            grpc.status.UNAVAILABLE].includes(code), `${what}: ${code}`);
  }
  const bomb = await raw(field(1, field(1, Buffer.alloc(70 << 20))), { 'grpc.default_compression_algorithm': 2 });
  assert.notStrictEqual(bomb, grpc.status.OK);
  assert(rssMiB() < 1500, `${rssMiB()} MiB after hostile messages`);
}

(async () => {
  await start();
  await apply(policy('first', ['192.0.2.0/24']));
  const agent = new Agent('web');
  await until('the agent is served', () => agent.seen > 0);
  const tests = { fault3_fullDisk, fault4_fullDiskOfLogs, fault7_notLoaded, fault9_herd, fault10_stoppedReader, fault11_refusal,
                  fault12_poison, fault14_sameId, fault19_messages };
  for (const [name, test] of Object.entries(tests)) {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) continue;
    const before = rssMiB();
    await test(agent);
    // After each, the rest goes on as if nothing had been.
    const marker = `198.51.100.${name.replace(/\D+/g, '')}`;
    await apply(policy('marker', [marker]));
    await until(`${name}: the others are served`, () => agent.text.includes(marker));
    assert.strictEqual(agent.status, null);
    console.log(`${name}: passed, RSS ${before.toFixed(0)} -> ${rssMiB().toFixed(0)} MiB`);
  }
  process.exit(0);
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
