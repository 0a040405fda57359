--- JSON for records: keys sorted, numbers exact, one line.
-- `decode(encode(v))` gives v back to the bit and to the type: integers stay integers, and floats stay floats, because
-- they always carry a point or an exponent. Not-a-number and the infinities, which JSON lacks, are written as the
-- strings "nan", "inf" and "-inf"; `json.number` turns these into numbers again. An empty Lua table is written as {}
-- unless `json.list` marked it.

local json = {}

local MAX_DEPTH = 100
local list_mark = { __name = "json list" }

--- What a JSON null is read as, and what is written as null.
json.null = setmetatable({}, {
    __name = "json.null",
    __tostring = function()
        return "null"
    end,
})

--- Marks a table as a list, so that it is written as [] even when it is empty.
---@param t? table
---@return table t
function json.list(t)
    return setmetatable(t or {}, list_mark)
end

local nonfinite = { nan = 0 / 0, inf = math.huge, ["-inf"] = -math.huge }

--- A number that was read back: itself, or what "nan", "inf" and "-inf" stand for; nil for anything else.
---@param value any
---@return number?
function json.number(value)
    return math.type(value) and value or nonfinite[value]
end

--- The shortest text of a number that reads back as the same number of the same type.
---@param value number
---@return string
function json.format_number(value)
    if math.type(value) == "integer" then
        return tostring(value)
    elseif value ~= value then
        return "nan"
    elseif value == math.huge or value == -math.huge then
        return value > 0 and "inf" or "-inf"
    end
    local text
    for digits = 15, 17 do
        text = ("%." .. digits .. "g"):format(value)
        if tonumber(text) == value then
            break
        end
    end
    return text:find("[.e]") and text or text .. ".0"
end

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t", ["\r"] = "\\r" }

local function encode_string(text)
    if not utf8.len(text) then
        error("json: a string must be valid UTF-8", 0)
    end
    return '"' .. text:gsub('[%c"\\\127]', function(c)
        return escapes[c] or ("\\u%04x"):format(c:byte())
    end) .. '"'
end

local encode_value

local function encode_list(t, depth)
    local parts = {}
    for i = 1, #t do
        parts[i] = encode_value(t[i], depth)
    end
    return "[" .. table.concat(parts, ",") .. "]"
end

local function encode_table(t, depth)
    if t == json.null then
        return "null"
    elseif depth > MAX_DEPTH then
        error(("json: tables must not be nested deeper than %d"):format(MAX_DEPTH), 0)
    end
    local keys = {}
    for key in pairs(t) do
        keys[#keys + 1] = key
    end
    if getmetatable(t) == list_mark or #keys > 0 and #t == #keys then
        return encode_list(t, depth + 1)
    end
    for _, key in ipairs(keys) do
        if type(key) ~= "string" then
            error(("json: keys must be strings, or 1 to n without a gap; got the key %s"):format(tostring(key)), 0)
        end
    end
    table.sort(keys)
    for i, key in ipairs(keys) do
        keys[i] = encode_string(key) .. ":" .. encode_value(t[key], depth + 1)
    end
    return "{" .. table.concat(keys, ",") .. "}"
end

function encode_value(value, depth)
    local kind = type(value)
    if kind == "number" then
        local text = json.format_number(value)
        return nonfinite[text] and '"' .. text .. '"' or text
    elseif kind == "string" then
        return encode_string(value)
    elseif kind == "boolean" then
        return tostring(value)
    elseif kind == "table" then
        return encode_table(value, depth)
    end
    error(("json: a %s cannot be written"):format(kind), 0)
end

--- Writes a value as JSON on one line, keys sorted by their bytes.
---@param value any  number, string, boolean, json.null, or a table of these (a list, or keys that are strings)
---@return string
function json.encode(value)
    return encode_value(value, 1)
end

local function fail(at, message)
    error(("json: %s at byte %d"):format(message, at), 0)
end

local function skip_space(text, at)
    return text:find("[^ \t\r\n]", at) or #text + 1
end

local unescapes = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function decode_unicode(text, at)
    local function unit(pattern, from)
        local digits = text:match(pattern, from)
        return digits and tonumber(digits, 16)
    end
    local high = unit("^u(%x%x%x%x)", at)
    if high and high >= 0xD800 and high < 0xDC00 then
        local low = unit("^\\u(%x%x%x%x)", at + 5)
        if low and low >= 0xDC00 and low < 0xE000 then
            return utf8.char(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), at + 11
        end
    end
    if not high or high >= 0xD800 and high < 0xE000 then
        fail(at, "wrong \\u escape")
    end
    return utf8.char(high), at + 5
end

local function decode_string(text, at)
    local parts = {}
    local from = at + 1
    while true do
        local stop = text:find('[%c"\\]', from)
        local c = stop and text:sub(stop, stop)
        if not c or c ~= '"' and c ~= "\\" and c ~= "\127" then
            fail(stop or at, c and "control character in a string" or "string without an end")
        end
        parts[#parts + 1] = text:sub(from, stop - 1)
        if c == '"' then
            return table.concat(parts), stop + 1
        elseif c == "\127" then
            parts[#parts + 1], from = c, stop + 1
        elseif text:sub(stop + 1, stop + 1) == "u" then
            parts[#parts + 1], from = decode_unicode(text, stop + 1)
        else
            local plain = unescapes[text:sub(stop + 1, stop + 1)]
            parts[#parts + 1], from = plain or fail(stop, "unknown escape"), stop + 2
        end
    end
end

local function decode_number(text, at)
    local whole, fraction, exponent = text:match("^(%-?%d+)(%.?%d*)([eE]?[+-]?%d*)", at)
    if not whole or whole:find("^%-?0%d") or fraction == "." or exponent:find("^[+-]") or exponent:find("%D$") then
        fail(at, "a value was expected")
    end
    return tonumber(whole .. fraction .. exponent), at + #whole + #fraction + #exponent
end

local decode_value

-- The members of a list or an object; `read` takes one and returns the position behind it.
local function decode_members(text, at, close, read)
    at = skip_space(text, at + 1)
    if text:sub(at, at) == close then
        return at + 1
    end
    while true do
        at = skip_space(text, read(at))
        local c = text:sub(at, at)
        if c == close then
            return at + 1
        elseif c ~= "," then
            fail(at, ("',' or '%s' was expected"):format(close))
        end
        at = skip_space(text, at + 1)
    end
end

local function decode_list(text, at, depth)
    local list = json.list()
    return list, decode_members(text, at, "]", function(from)
        local value, stop = decode_value(text, from, depth)
        list[#list + 1] = value
        return stop
    end)
end

local function decode_object(text, at, depth)
    local object = {}
    return object, decode_members(text, at, "}", function(from)
        if text:sub(from, from) ~= '"' then
            fail(from, "a key in quotes was expected")
        end
        local key, colon = decode_string(text, from)
        colon = skip_space(text, colon)
        if text:sub(colon, colon) ~= ":" then
            fail(colon, "':' was expected")
        elseif object[key] ~= nil then
            fail(from, "the same key twice")
        end
        local stop
        object[key], stop = decode_value(text, skip_space(text, colon + 1), depth)
        return stop
    end)
end

local words = { ["true"] = true, ["false"] = false, null = json.null }

function decode_value(text, at, depth)
    local c = text:sub(at, at)
    if c == "{" or c == "[" then
        if depth > MAX_DEPTH then
            fail(at, ("nested deeper than %d"):format(MAX_DEPTH))
        end
        return (c == "{" and decode_object or decode_list)(text, at, depth + 1)
    elseif c == '"' then
        return decode_string(text, at)
    end
    local word = text:match("^%l+", at)
    if word and words[word] ~= nil then
        return words[word], at + #word
    end
    return decode_number(text, at)
end

--- Reads one JSON value; raises "json: … at byte n" for anything else.
---@param text string
---@return any
function json.decode(text)
    if not utf8.len(text) then
        error("json: the text must be valid UTF-8", 0)
    end
    local value, at = decode_value(text, skip_space(text, 1), 1)
    at = skip_space(text, at)
    if at <= #text then
        fail(at, "end of text was expected")
    end
    return value
end

return json
