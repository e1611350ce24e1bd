-- The action lua.apikey ADDRESS: asks the shim's /auth about the request. A 200 sets
-- txn.apikey_allowed and the identity, a 401 or a 403 is the client's answer. After anything else
-- txn.apikey_allowed is as it was, and HAProxy answers with a 503.

local identity = { "prefix", "name", "owner", "auth", "tenant" }
local asked_with = { "authorization", "x-api-key", "host" }
local answered_with = { "content-type", "cache-control", "www-authenticate" }

-- HAProxy counts the lines of a header from 0, and httpclient takes them from 1. All are passed on:
-- two are for the shim to refuse.
local function lines(values)
  local list = {}
  for _, value in pairs(values or {}) do
    list[#list + 1] = value
  end
  return #list > 0 and list or nil
end

local function question(txn)
  local all = txn.http:req_get_headers()
  local headers = { ["x-forwarded-for"] = { txn.f:src() } }
  for _, name in ipairs(asked_with) do
    headers[name] = lines(all[name])
  end
  return headers
end

local function refuse(txn, answer)
  local reply = txn:reply({ status = answer.status, body = answer.body })
  for _, name in ipairs(answered_with) do
    for _, value in ipairs(lines(answer.headers[name]) or {}) do
      reply:add_header(name, value)
    end
  end
  txn:done(reply)
end

core.register_action("apikey", { "http-req" }, function(txn, address)
  -- Longer than the shim takes to give up on its database.
  local answer = core.httpclient():get({ url = address, headers = question(txn), timeout = 10000 })
  if answer.status == 200 then
    for _, part in ipairs(identity) do
      txn:set_var("txn.apikey_" .. part, lines(answer.headers["x-apikey-" .. part])[1])
    end
    txn:set_var("txn.apikey_allowed", true)
  elseif answer.status == 401 or answer.status == 403 then
    refuse(txn, answer)
  end
end, 1)
