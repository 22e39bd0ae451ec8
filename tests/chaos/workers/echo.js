// Sends every body back, so that the bytes of a client go through both pipes.
const path = require('path');
const ApmModule = require(path.join(process.env.APM_CONNECTORS, 'node', 'apm_module.node.js'));

new ApmModule((session) => {
  const chunks = [];
  session.on_data = (data) => chunks.push(data);
  const answer = () => {
    session.write(Buffer.concat(chunks), { 'content-type': 'application/octet-stream' });
    session.close();
  };
  if (session.method === 'POST') {
    session.on_end = answer;
  } else {
    chunks.push(Buffer.from(String(process.pid)));
    answer();
  }
}).run();
