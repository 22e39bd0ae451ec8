// Answers by path; the tests say what they expect of each.
const path = require('path');
const ApmModule = require(path.join(process.env.APM_CONNECTORS, 'node', 'apm_module.node.js'));

new ApmModule((session) => {
  if (session.protocol === 'ws') {
    session.on_data = (data, isBinary) => session.write(isBinary ? data : data.toString());
    return;
  }
  const text = { 'content-type': 'text/plain' };
  switch (session.path) {
    case '/print':
      console.log('console.log says', session.query);
      session.write('printed', text);
      return session.close();
    case '/never':
      return;
    case '/exit':
      process.exit(3);
      return;
    case '/echo': {
      const chunks = [];
      session.on_data = (data) => chunks.push(data);
      session.on_end = () => {
        session.write(Buffer.concat(chunks), { 'content-type': 'application/octet-stream' });
        session.close();
      };
      return;
    }
    default:
      session.write(JSON.stringify({
        path: session.path,
        query: session.query_object,
        method: session.method,
        remote_ip: session.remote_ip,
        headers: session.headers,
        instance: session.instance_id,
        pid: process.pid,
      }), { 'x-status': '200', 'content-type': 'application/json' });
      session.close();
  }
}).run();
