'use strict';
// The worker of the shared vectors: the path says what to do. routes.py is its twin.

const {spawnSync} = require('child_process');
const ApmModule = require(process.env.APM_CONNECTORS + '/node/apm_module.node.js');

const TEXT = {'x-status': '200', 'content-type': 'text/plain'};
const apm = new ApmModule((s) => routes[s.path](s));
const nextTurn = () => new Promise(setImmediate);

const routes = {
  '/hello'(s) {
    s.write('Hello World', TEXT);
    s.close();
  },
  '/describe'(s) {
    const names = ['session_id', 'protocol', 'method', 'path', 'path_array', 'query', 'query_object', 'headers',
      'cookies', 'remote_ip', 'instance_id', 'session_data', 'host', 'scheme', 'http_version', 'listener',
      'request_id', 'remote_port', 'tls', 'resumed'];
    const seen = {};
    for (const name of names) seen[name] = s[name] === undefined ? null : s[name];
    seen.unnamed = s.metadata.unnamed === undefined ? null : s.metadata.unnamed;
    s.log('info', 'seen', seen);
    s.close();
  },
  '/echo'(s) {
    s.on_data = (data, is_binary) => s.write(data, {'x-binary': is_binary});
    s.on_end = () => s.close();
    s.on_close = () => apm.log('info', 'closed', {reason: s.close_reason, active: s.active()});
  },
  '/headers'(s) {
    s.write('', {'X-Status': 201, 'set-cookie': ['a=1', 'b=2'], 'x-quote': 'say "hi" \\ \u{1F600} é',
      'x-float': 1.5, 'x-none': null, '_session': 'stolen', '_command': 'stolen'});
    s.write(Buffer.from([3, 5, 0]));
    s.write('text', {dataType: 'binary'});
    s.close();
  },
  '/close'(s) { s.close(); },
  '/close-code'(s) { s.close(404, 'not "here" é'); },
  '/close-twice'(s) {
    s.close(204);
    s.close(500);
    s.write('late');
    s.write_raw('late');
    s.save_session_data();
    s.accept();
    apm.log('info', 'after', {active: s.active()});
  },
  '/raw'(s) {
    s.write_raw('HTTP/1.1 200 OK\r\n\r\n');
    s.write_raw(Buffer.from([3, 5]));
    s.close();
  },
  '/save'(s) {
    s.session_data.count = (s.session_data.count || 0) + 1;
    s.session_data.name = 'Zoë';
    s.save_session_data();
    s.close();
  },
  '/metric'(s) {
    s.metric('jobs_total', 1);
    s.metric('queue_length', 2.5, 'gauge', {queue: 'mail'});
    apm.metric('render', 12, 'timing');
    s.close();
  },
  '/throw'() { throw new Error('thrown in connect'); },
  '/throw-on-data'(s) {
    s.on_data = () => { throw new Error('thrown in on_data'); };
  },
  '/throw-on-close'(s) {
    s.on_close = () => { throw new Error('thrown in on_close'); };
  },
  '/write-object'(s) { s.write({}); },
  '/metric-nan'(s) { s.metric('x', NaN); },
  '/accept-early'(s) {
    s.accept();
    s.write('hi');
  },
  '/drain'(s) {
    s.on_drain = () => {
      s.session_data.drained = true;
      s.save_session_data();
    };
  },
  '/silent'() {},
  // Body first, on_data later.
  async '/late'(s) {
    await nextTurn();
    await nextTurn();
    const parts = [];
    s.on_data = (data) => { parts.push(data); };
    s.on_end = () => {
      s.write(Buffer.concat(parts));
      s.close();
    };
  },
  async '/later'(s) {
    await nextTurn();
    s.write('later');
    s.close();
  },
  async '/reject'() {
    await nextTurn();
    throw new Error('thrown later');
  },
  '/big'(s) {
    s.write(Buffer.alloc(65536, s.query.slice(0, 1)), TEXT);
    s.close();
  },
  '/huge'(s) {
    s.write(Buffer.alloc((16 << 20) + 10, 'x'), TEXT);
    s.close();
  },
  '/print'(s) {
    console.log(`line ${s.query} one`);
    process.stdout.write(`line ${s.query} two\n`);
    s.write(s.query);
    console.log(`line ${s.query} three`);
    s.close();
  },
  '/child'(s) {
    spawnSync('echo', ['from a child'], {stdio: 'inherit'});
    s.close();
  },
  '/term'(s) {
    s.write('bye');
    s.close();
    process.kill(process.pid, 'SIGTERM');
  },
  '/exit'(s) {
    s.write('bye');
    s.close();
    process.exit(7);
  },
};

setInterval(() => {}, 60000);  // An open handle must not keep the worker from ending.
apm.run();
