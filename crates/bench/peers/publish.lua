-- The publish of 2016: in the log phase the request is serialised as Kong 0.8 did it, a timer sends it over a kept connection, and
-- nobody hears when that fails.
local cjson = require "cjson"

local publish = {}

local api = {
  id = "5b3f3c1e-7d5e-4f0e-9a51-3a1c2b8a7f10",
  name = "profiles",
  upstream_url = "http://{{upstream}}",
  request_path = "/profiles",
  strip_request_path = false,
  preserve_host = false,
  created_at = 1458036000000,
}

local function serialise()
  local var = ngx.var
  local uri = var.request_uri
  local upstream = (tonumber(var.upstream_response_time) or 0) * 1000
  local request = (tonumber(var.request_time) or 0) * 1000
  return cjson.encode({
    request = {
      uri = uri,
      request_uri = var.scheme .. "://" .. var.host .. ":" .. var.server_port .. uri,
      querystring = ngx.req.get_uri_args(),
      method = ngx.req.get_method(),
      headers = ngx.req.get_headers(),
      size = var.request_length,
    },
    response = {
      status = ngx.status,
      headers = ngx.resp.get_headers(),
      size = var.bytes_sent,
    },
    latencies = { kong = request - upstream, proxy = upstream, request = request },
    api = api,
    client_ip = var.remote_addr,
    started_at = ngx.req.start_time() * 1000,
  })
end

local function send(premature, path, content_type, body)
  if premature then return end
  local socket = ngx.socket.tcp()
  socket:settimeout(10000)
  local ok, problem = socket:connect("{{receiver_host}}", {{receiver_port}}, { pool_size = 1024 })
  if not ok then
    ngx.log(ngx.ERR, "publish: ", problem)
    return
  end
  ok, problem = socket:send({
    "POST ", path, " HTTP/1.1\r\nHost: {{receiver_host}}\r\nUser-Agent: kong-publish-sns\r\nContent-Type: ", content_type,
    "\r\nContent-Length: ", #body, "\r\n\r\n", body,
  })
  if not ok then
    ngx.log(ngx.ERR, "publish: ", problem)
    return
  end
  local length = 0
  repeat
    local line
    line, problem = socket:receive("*l")
    if not line then
      ngx.log(ngx.ERR, "publish: ", problem)
      return
    end
    length = tonumber(line:match("^[Cc]ontent%-[Ll]ength: *(%d+)")) or length
  until line == ""
  if length > 0 then socket:receive(length) end
  socket:setkeepalive(60000, 1024)
end

local function matches()
  return ngx.status >= 200 and ngx.status < 300 and ngx.req.get_method() == "PUT"
    and ngx.re.find(ngx.var.uri, "^/profiles/[^/]+$", "jo")
end

-- The message alone, to the same stub that Retrohook's raw subscriber is.
function publish.raw()
  if not matches() then return end
  local ok, problem = ngx.timer.at(0, send, "/hook", "application/json", serialise())
  if not ok then ngx.log(ngx.ERR, "timer: ", problem) end
end

-- SNS's Publish as a form, without a signature: less than the plug-in of 2016 did.
function publish.sns()
  if not matches() then return end
  local form = "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aus-east-1%3A000000000000%3Aprofile-changes&Message="
    .. ngx.escape_uri(serialise())
  local ok, problem = ngx.timer.at(0, send, "/sns", "application/x-www-form-urlencoded", form)
  if not ok then ngx.log(ngx.ERR, "timer: ", problem) end
end

return publish
