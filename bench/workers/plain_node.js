// The peer: Node's own server with the same answer. Argument: the port.
const server = require('http').createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': 13 });
  response.end('Hello, World!');
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
