'use strict';
// Sends every message back and counts them; the count is saved with the agent
// as this connection's session data.

const ApmModule = require(process.env.APM_CONNECTORS + '/node/apm_module.node.js');

const PAGE = `<!doctype html>
<title>echo</title>
<input id="message" placeholder="type, then Enter" autofocus>
<pre id="log"></pre>
<script>
  const socket = new WebSocket('ws://' + location.host + '/');
  const log = (line) => { document.getElementById('log').textContent += line + '\\n'; };
  socket.onmessage = (event) => log(event.data);
  socket.onclose = (event) => log('closed ' + event.code + ' ' + event.reason);
  document.getElementById('message').onchange = (event) => {
    socket.send(event.target.value);
    event.target.value = '';
  };
</script>
`;

function showPage(session) {
  session.write(PAGE, {'x-status': '200', 'content-type': 'text/html; charset=utf-8'});
  session.close();
}

function echo(session) {
  session.on_data = (data) => {
    session.session_data.messages = (session.session_data.messages || 0) + 1;
    session.save_session_data();
    if (data === 'bye') session.close(1000, 'bye');
    else session.write(data);  // Text comes as a string and goes back as text.
  };
  session.on_close = () => console.log(`${session.session_data.messages || 0} messages`);
}

new ApmModule((session) => {
  if (session.protocol === 'ws') echo(session);
  else showPage(session);
}).run();
