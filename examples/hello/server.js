'use strict';
// GET / greets, POST / sends the body back. The agent owns port 3000, HTTP and
// keep-alive; this program sees one session for each request.

const ApmModule = require(process.env.APM_CONNECTORS + '/node/apm_module.node.js');

const TEXT = {'x-status': '200', 'content-type': 'text/plain; charset=utf-8'};

function greet(session) {
  const name = session.query_object.name || 'World';
  session.write(`Hello ${name} from instance ${session.instance_id}\n`, TEXT);
  session.close();
}

function sendBack(session) {
  session.on_data = (data) => session.write(data, TEXT);  // Piece by piece, as it comes.
  session.on_end = () => session.close();
}

new ApmModule((session) => {
  console.log(`${session.remote_ip} ${session.method} ${session.path}`);  // apmctl logs hello
  if (session.path !== '/') session.close(404);
  else if (session.method === 'POST') sendBack(session);
  else greet(session);
}).run();
