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
  ['whence/v1/admin.proto', 'envoy/service/discovery/v3/discovery.proto'],
  { keepCase: true, defaults: true, longs: Number, includeDirs: [protos] }));
const BUNDLE = 'type.googleapis.com/whence.v1.WorkloadBundle';
const DELTA = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';

let server, address;
const children = [];
process.on('exit', () => { for (const child of children) child.kill('SIGKILL'); });
function start() {
  return new Promise((resolve, reject) => {
    let out = '';
    server = spawn(control, ['--data-dir', path.join(data, 'db'), '--listen', '127.0.0.1:0', '--http', 'none', '--log-level', 'off']);
    children.push(server);
    server.stdout.on('data', (chunk) => {
      out += chunk;
      const found = out.match(/grpc (127\.0\.0\.1:\d+)/);
      if (found && !address) { address = found[1]; resolve(); }
    });
    server.on('exit', (code, signal) => reject(new Error(`whence-control ended: ${code} ${signal}`)));
  });
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
async function until(what, test) {
  for (let i = 0; i < 400; ++i) {
    if (await test()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail(`in 20 s: ${what}`);
}

class Agent {
  constructor(name) {
    this.seen = 0;
    this.status = null;
    this.client = new root.envoy.service.discovery.v3.AggregatedDiscoveryService(address,
      grpc.credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    this.stream = this.client.DeltaAggregatedResources();
    this.stream.on('data', (response) => {
      this.seen += response.resources.length;
      this.text = response.resources.map((r) => r.resource.value.toString('latin1')).join();
      this.stream.write({ type_url: BUNDLE, response_nonce: response.nonce });
    });
    this.stream.on('error', (error) => { this.status = error; });
    this.stream.write({ node: { id: `shop/${name}` }, type_url: BUNDLE, resource_names_subscribe: [`shop/${name}`] });
  }
  close() { this.stream.cancel(); this.client.close(); }
}

async function fault3_fullDisk(agent) {
  const filler = path.join(data, 'filler');
  try { for (;;) fs.appendFileSync(filler, Buffer.alloc(64 << 10)); } catch (error) { assert.strictEqual(error.code, 'ENOSPC'); }
  const before = (await ctlRun(['get', 'all', '-o', 'json'])).stdout;
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
    // What cannot be parsed at all (too deep) never reaches us: gRPC ends the reading, and we the stream, without a fault.
    if (what === 'depth 1000' && code === grpc.status.OK) continue;
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
  for (const [name, test] of Object.entries(process.env.ONLY ? { fault19_messages } : { fault3_fullDisk, fault10_stoppedReader, fault12_poison, fault14_sameId, fault19_messages })) {
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
