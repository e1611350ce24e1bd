// A service that reads paths as many on Node do: by WHATWG's URL, then decoded, as far as that is
// UTF-8, in any case.
const http = require("node:http");

function resource(target) {
  let path = target;
  try {
    path = new URL(target, "http://service").pathname;
    path = decodeURIComponent(path);
  } catch {}
  return /^\/events(\/|$)/i.test(path) ? "event" : "other";
}

const server = http.createServer((request, response) => {
  response.writeHead(200, { "Content-Type": "text/plain", Connection: "close" });
  response.end(resource(request.url));
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
