-- Asks the shim's /auth about a request. A 200 lets it pass, with the identity in its headers; a
-- 401 or a 403 is the client's answer; anything else is a 503, and an error in here Apache's 500.

local address = "http://127.0.0.1:8080/auth"
local identity = { "X-Apikey-Prefix", "X-Apikey-Name", "X-Apikey-Owner", "X-Apikey-Auth", "X-Apikey-Tenant" }

local http = require "socket.http"
local ltn12 = require "ltn12"
http.TIMEOUT = 10 -- seconds: longer than the shim takes to give up on its database

local function answer(r, status, headers, body)
  r.status = status
  for name, value in pairs(headers) do
    r.headers_out[name] = value
  end
  -- What apache.conf adds to other answers.
  r.headers_out["Access-Control-Allow-Origin"] = r.subprocess_env["APIKEY_ORIGIN"]
  r.headers_out["Vary"] = "Origin"
  r:write(body)
  return apache2.DONE
end

local function refuse(r, status, headers, body)
  r.content_type = "application/problem+json"
  return answer(r, status, {
    ["Cache-Control"] = headers["cache-control"],
    ["WWW-Authenticate"] = headers["www-authenticate"],
    ["Retry-After"] = headers["retry-after"],
  }, body)
end

-- The paths that pass: segments of these characters, none of them empty or with a dot at its end,
-- and so none that a service may decode, fold or cut to another. docs/proxies.md says how to let
-- further ones by.
local plain = [[^/(\.*[A-Za-z0-9_@:,=-]/?)*(\?[\x21\x22\x24-\x7e]*)?$]]

function plain_path(r)
  if r:regex(r.unparsed_uri, plain) then
    return apache2.DECLINED
  end
  return refuse(r, 400, {}, '{"type":"about:blank","title":"Bad Request","status":400,'
    .. '"detail":"The path is spelled in a way that is not taken here."}')
end

-- A browser asks whether a script may ask. This answer reaches no service, as nothing does without
-- a key.
local function preflight(r)
  return answer(r, 204, {
    ["Access-Control-Allow-Methods"] = "GET, HEAD, POST, PUT, PATCH, DELETE",
    ["Access-Control-Allow-Headers"] = "Authorization, X-Api-Key, Content-Type, X-Request-Id",
    ["Access-Control-Max-Age"] = "600",
  }, "")
end

local function ask(r, url)
  if r.method == "OPTIONS" and r.headers_in["Access-Control-Request-Method"] then
    return preflight(r)
  end
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
