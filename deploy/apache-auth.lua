-- Asks the shim's /auth about a request. A 200 lets it pass, with the identity in its headers; a 401 or a 403 is the client's
-- answer; anything else is a 503, and an error in here Apache's 500.

local address = "http://127.0.0.1:8080/auth"
local identity = { "X-Apikey-Prefix", "X-Apikey-Name", "X-Apikey-Owner", "X-Apikey-Auth", "X-Apikey-Tenant" }

local http = require "socket.http"
local ltn12 = require "ltn12"
http.TIMEOUT = 10 -- seconds: longer than the shim takes to give up on its database

local function refuse(r, status, headers, body)
  r.status = status
  r.content_type = "application/problem+json"
  for _, name in ipairs({ "Cache-Control", "WWW-Authenticate", "Retry-After" }) do
    r.headers_out[name] = headers[name:lower()]
  end
  r:write(body)
  return apache2.DONE
end

local function ask(r, url)
  local body = {}
  local _, status, headers = http.request {
    url = url,
    redirect = false,
    headers = {
      ["host"] = r.headers_in["Host"],
      ["authorization"] = r.headers_in["Authorization"],
      ["x-api-key"] = r.headers_in["X-Api-Key"],
      ["x-forwarded-for"] = r.useragent_ip,
    },
    sink = ltn12.sink.table(body),
  }
  if status == 200 then
    for _, name in ipairs(identity) do
      r.headers_in[name] = headers[name:lower()]
    end
    return apache2.OK
  elseif status == 401 or status == 403 then
    return refuse(r, status, headers, table.concat(body))
  end
  return refuse(r, 503, { ["retry-after"] = "1" },
    '{"type":"about:blank","title":"Service Unavailable","status":503,'
      .. '"detail":"API keys cannot be checked at the moment. Try again shortly."}')
end

-- One for each scope.

function any_key(r)
  return ask(r, address)
end

function event(r)
  return ask(r, address .. "?scope=event")
end
