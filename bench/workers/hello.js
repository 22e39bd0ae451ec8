// 13 bytes through the pipe protocol.
const ApmModule = require(`${process.env.APM_CONNECTORS}/node/apm_module.node.js`);

new ApmModule((session) => {
  session.write('Hello, World!', { 'content-type': 'text/plain' });
  session.close();
}).run();
