// Reads the lines of whence-http-forwarded and gives each connection's bytes to Node's HTTP server. It must find the same
// requests: as many, the same methods, targets and bodies.
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import fs from 'node:fs';
import readline from 'node:readline';

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'whence-differential-'));
const address = path.join(folder, 'socket');
let seen = [];
let complaint = '';
const server = http.createServer({maxHeaderSize: 131072}, (request, response) => {
  const entry = {method: request.method, target: request.url, bodyHex: '', whole: false};
  seen.push(entry);
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', () => {
    entry.bodyHex = Buffer.concat(parts).toString('hex');
    entry.whole = true;
    response.end('ok');
  });
  request.on('error', () => {});
});
server.maxHeadersCount = 0;
server.on('clientError', (error, socket) => {
  if (error.code !== 'HPE_INVALID_EOF_STATE' && error.code !== 'ECONNRESET') complaint = error.code;
  socket.destroy();
});
await new Promise((done) => server.listen(address, done));

function give(bytes) {
  return new Promise((done) => {
    seen = [];
    complaint = '';
    const socket = net.connect(address);
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', done);
    socket.end(bytes);
  });
}

let connections = 0, requests = 0, skipped = 0, faults = 0;
for await (const line of readline.createInterface({input: process.stdin})) {
  const given = JSON.parse(line);
  // Node knows a list of methods, and refuses the others whatever they look like.
  if (given.requests.some((request) => !http.METHODS.includes(request.method))) {
    ++skipped;
    continue;
  }
  ++connections;
  requests += given.requests.length;
  await give(Buffer.from(given.hex, 'hex'));
  const whole = seen.filter((entry) => entry.whole).map(({method, target, bodyHex}) => ({method, target, bodyHex}));
  if (JSON.stringify(whole) === JSON.stringify(
      given.requests.map(({method, target, bodyHex}) => ({method, target, bodyHex})))) continue;
  ++faults;
  if (faults <= 5) {
    console.log('DIFFERENCE', complaint, '\nbytes', JSON.stringify(Buffer.from(given.hex, 'hex').toString('latin1')),
                '\nwe', JSON.stringify(given.requests), '\nnode', JSON.stringify(seen));
  }
}
server.close();
fs.rmSync(folder, {recursive: true});
console.log(`${connections} connections, ${requests} requests, ${faults} read differently (${skipped} left out: unknown method)`);
process.exit(faults > 0 || requests < 500 ? 1 : 0);
